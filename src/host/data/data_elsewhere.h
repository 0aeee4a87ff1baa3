/* Where a user meant to point who named a folder a level too high or too low. */
#ifndef EBB_HOST_DATA_DATA_ELSEWHERE_H
#define EBB_HOST_DATA_DATA_ELSEWHERE_H

#ifdef __cplusplus
extern "C" {
#endif

/* A folder that has one of `names` (files or folders; files perhaps with .gz; NULL behind the last), up to
   two levels above `folder` or below it; NULL where there is none. Lifetime: the caller frees it. */
char *ebb_data_elsewhere(const char *folder, const char *const *names);

#ifdef __cplusplus
}
#endif
#endif
