/* numpy's .npz files in memory: ZIP archives of .npy files, stored or deflated. */
#ifndef EBB_HOST_DATA_NPZ_H
#define EBB_HOST_DATA_NPZ_H

#include <stdbool.h>

#include "host/data/npy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the array `name`; *found is false where the archive has none. Lifetime: ebb_npy_release, after an
   error too. Errors: FORMAT (no ZIP archive, damaged, checksum), UNSUPPORTED (another compression, encrypted,
   more than 4 GiB), each naming `origin`; as ebb_npy_parse. */
EbbStatus ebb_npz_read(const char *bytes, size_t length, const char *origin, const char *name, bool *found,
                       EbbNpy *out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
