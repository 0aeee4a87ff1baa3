/* The file that a cache is: a data set's arrays as they lie in memory, to be mapped.

   head      EbbCacheHead; settings and sources of the key, each ended by a NUL; EbbCacheFacts; the arrays'
             rows; a CRC-32 for every block of every array. Numbers are of the machine that wrote them.
   arrays    each begins at a multiple of 4096 bytes; splits that share an array share the place. */
#ifndef EBB_HOST_DATA_CACHE_FILE_H
#define EBB_HOST_DATA_CACHE_FILE_H

#include "ebb/loading.h"
#include "host/data/cache_key.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  EBB_CACHE_VERSION = 1,
  EBB_CACHE_PAGE = 4096,
  EBB_CACHE_BLOCK = 4 * 1024 * 1024, /* bytes of an array that have a checksum of their own */
  EBB_CACHE_OF_DATASET = -1,         /* in place of a split */
  EBB_CACHE_TOKEN_TEXT = -1          /* in place of an array: the tokens' texts, each ended by a NUL */
};

typedef struct EbbCacheHead {
  char magic[8]; /* "ebbcache" */
  uint32_t version, byte_order;
  uint64_t file_bytes, head_bytes; /* the head's, this struct included */
  uint64_t settings_bytes, sources_bytes, n_rows, n_blocks;
  uint32_t head_crc; /* of the head's bytes with this field 0 */
  uint32_t zero;
} EbbCacheHead;

typedef struct EbbCacheFacts {
  char name[64];
  int64_t n_classes, d_output, vocabulary, d_input, n_towers, longest;
  int32_t variable_length, per_step, scale_per_position, zero;
  struct {
    int64_t n_samples, n_stored, raw_type;
  } split[EBB_SPLITS];
} EbbCacheFacts;

typedef struct EbbCacheRow {
  int32_t split, array; /* which pointer: EBB_CACHE_OF_DATASET, EBB_CACHE_TOKEN_TEXT, or as in arrays.h */
  uint64_t begin, bytes;
} EbbCacheRow;

static inline uint64_t ebb_cache_blocks(uint64_t bytes) {
  return bytes / EBB_CACHE_BLOCK + (bytes % EBB_CACHE_BLOCK != 0);
}

/* Writes under a temporary name, syncs, renames. Errors: IO (disk full: how many bytes are needed and what to
   do), INTERRUPTED, STATE (another writer of this process), MEMORY; nothing stays then. */
EbbStatus ebb_cache_write(const char *path, const EbbCacheKey *key, const EbbDataset *dataset,
                          const EbbLoading *loading) EBB_MUST_CHECK;

/* Maps a cache and makes it a data set. Every block is checked. Errors: NOT_FOUND; MISMATCH says what the
   cache was made from that is different now; FORMAT says what is damaged, or that another version wrote it;
   INTERRUPTED, IO, MEMORY. */
EbbStatus ebb_cache_read(const char *path, const EbbCacheKey *key, const EbbLoading *loading,
                         EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
