/* What the contents of a cache depend on. */
#ifndef EBB_HOST_DATA_CACHE_KEY_H
#define EBB_HOST_DATA_CACHE_KEY_H

#include <stdio.h>

#include "ebb/data.h"
#include "host/data/folder_list.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbCacheKey {
  char *name;       /* of the data set */
  char *folder;     /* of its files; the cache stands below it unless told otherwise */
  char *settings;   /* loader, its version and every setting that may change what it makes; a line each */
  char *sources;    /* of every source file its name, size, and time or checksum; a line each */
  int64_t expected; /* bytes that the cache is going to take; 0: at most those of the sources */
  int64_t source_bytes;
  FILE *settings_text, *sources_text; /* while they are written */
  size_t settings_bytes, sources_bytes;
} EbbCacheKey;

/* Begins with the data set's name, the loader's version, which a change of its code that changes results
   raises, and all dataset.* settings that are not about places. Lifetime: ebb_cache_key_release, after an
   error too. Errors: MEMORY. */
EbbStatus ebb_cache_key_begin(EbbCacheKey *key, const EbbConfig *config, int version) EBB_MUST_CHECK;
void ebb_cache_key_release(EbbCacheKey *key);

/* The folder that holds the files. Errors: MEMORY. */
EbbStatus ebb_cache_key_folder(EbbCacheKey *key, const char *folder) EBB_MUST_CHECK;
/* A setting outside dataset.* that the loader looks at. */
void ebb_cache_key_setting(EbbCacheKey *key, const char *name, const char *value);
/* For loaders that refuse what the default of dataset.l_max would cut (ebb_store_check_cut): whether it was
   given, so that no cache brings a cut that nobody asked for. */
void ebb_cache_key_cut(EbbCacheKey *key, const EbbConfig *config);
/* A source file, which is in key->folder: of small ones the contents count, of others size and time of the
   last change. Errors: NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_cache_key_file(EbbCacheKey *key, const char *name) EBB_MUST_CHECK;

/* Many small source files of a folder below key->folder: their number and size, and a checksum of names,
   sizes and times of the last change, without reading them. Errors: NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_cache_key_files(EbbCacheKey *key, const char *folder,
                              const EbbFolderList *files) EBB_MUST_CHECK;

/* Ends the list. Errors: MEMORY. */
EbbStatus ebb_cache_key_end(EbbCacheKey *key) EBB_MUST_CHECK;
/* Bytes that the cache takes, as far as is known before loading. */
int64_t ebb_cache_key_bytes(const EbbCacheKey *key);
/* CRC-32 of the settings: a part of the cache's name, so that settings do not replace each other. */
uint32_t ebb_cache_key_number(const EbbCacheKey *key);

#ifdef __cplusplus
}
#endif
#endif
