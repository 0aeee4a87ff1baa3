/* Run folders: where a run's files stand, and who may write there. */
#ifndef EBB_RUN_FOLDER_H
#define EBB_RUN_FOLDER_H

#include "cli.h"
#include "ebb/checkpoint.h"

/* <folder>/<file>. Errors: INVALID (too long). */
EbbStatus run_path(const char *folder, const char *file, char path[CLI_PATH_BYTES]) EBB_MUST_CHECK;

/* The folder as given, without slashes at its end. Errors: INVALID (empty, too long). */
EbbStatus run_folder_name(const char *given, char path[CLI_PATH_BYTES]) EBB_MUST_CHECK;

bool is_folder(const char *path);

/* The checkpoint that a person means: the file itself, or of a run folder the best one, else the last.
   Errors: NOT_FOUND. */
EbbStatus run_checkpoint(const char *run_or_file, char path[CLI_PATH_BYTES]) EBB_MUST_CHECK;

/* Makes runs/<name>-<n>, n the first number that is free; '/' in name becomes '-'. Errors: IO. */
EbbStatus run_folder_new(const char *name, char path[CLI_PATH_BYTES]) EBB_MUST_CHECK;

/* Makes the folder if need be and keeps it to this process until run_folder_release, or its end. Errors: IO;
   STATE where another process has it. */
EbbStatus run_folder_claim(const char *path, int *claim) EBB_MUST_CHECK;
void run_folder_release(int claim);

/* Where the checkpoint's run stood. Errors: NOT_FOUND, FORMAT. */
EbbStatus run_state(const char *checkpoint, EbbTrainState *state) EBB_MUST_CHECK;

#endif
