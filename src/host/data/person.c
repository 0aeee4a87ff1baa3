#include <stdio.h>
#include <string.h>

#include "host/data/recordings.h"

enum { TAGS = 4, INPUTS = TAGS + 3, CLASSES = 7, LENGTH = 32, STRIDE = 16, SEED = 27731 };
enum { RUN, TAG, STAMP, DATE, X, Y, Z, ACTIVITY, FIELDS };
enum { ACTIVITIES = 11, RUN_BYTES = 16 };

static const EbbShares shares = {0.1, 0.15};
static const char *const tags[TAGS] = {"010-000-024-033", "010-000-030-096", "020-000-033-111",
                                       "020-000-032-221"};
static const char *const activities[ACTIVITIES] = {"lying down",
                                                   "lying",
                                                   "sitting down",
                                                   "sitting",
                                                   "standing up from lying",
                                                   "standing up from sitting",
                                                   "standing up from sitting on the ground",
                                                   "walking",
                                                   "falling",
                                                   "on all fours",
                                                   "sitting on the ground"};
static const int32_t classes[ACTIVITIES] = {0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6};

typedef struct Reader {
  EbbRecordings *recordings;
  char run[RUN_BYTES]; /* of the record read last: A01 to E05 */
} Reader;

/* A record of another run begins a series. */
static EbbStatus follow_run(Reader *reader, const EbbCsv *csv) {
  EbbRecordings *r = reader->recordings;
  if (strlen(csv->field[RUN]) >= RUN_BYTES)
    return ebb_fail(EBB_FORMAT, "%s:%lld: field 1 is '%.40s', not a run such as A01", csv->origin,
                    (long long)csv->line, csv->field[RUN]);
  if (r->n > 0 && strcmp(reader->run, csv->field[RUN]) == 0) return EBB_OK;
  snprintf(reader->run, sizeof reader->run, "%s", csv->field[RUN]);
  return ebb_recordings_add(r, INPUTS, 0);
}

static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  (void)index;
  Reader *reader = context;
  float x[INPUTS] = {0};
  int tag, activity;
  EBB_TRY(ebb_csv_expect(csv, FIELDS));
  EBB_TRY(follow_run(reader, csv));
  EBB_TRY(ebb_csv_name(csv, TAG, tags, TAGS, &tag));
  EBB_TRY(ebb_record_numbers(csv, X, 3, x + TAGS));
  EBB_TRY(ebb_csv_name(csv, ACTIVITY, activities, ACTIVITIES, &activity));
  x[tag] = 1;
  EbbRecordings *r = reader->recordings;
  return ebb_series_append(&r->series[r->n - 1], x, NULL, classes[activity]);
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {"person", r->options.folder,
                                "ConfLongDemo_JSI.txt of UCI's Localization Data for Person Activity"};
  Reader reader = {.recordings = r};
  EBB_TRY(ebb_records_read(&source, "ConfLongDemo_JSI.txt", ',', read_record, &reader));
  /* The published code keeps a run when the next one begins, so never the last. */
  if (r->options.paper) ebb_series_release(&r->series[--r->n]);
  EBB_TRY(ebb_recordings_split(r, shares, SEED, LENGTH, STRIDE));
  return ebb_recordings_finish(r, CLASSES, LENGTH);
}

EbbStatus ebb_person_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("person", options, build, NULL, out);
}
