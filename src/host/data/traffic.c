#include <math.h>
#include <string.h>

#include "host/data/recordings.h"

enum { INPUTS = 7, LENGTH = 32, STRIDE = 4, SEED = 23489 };
enum { HOLIDAY_INPUT, TEMPERATURE_INPUT };
enum { HOLIDAY, TEMPERATURE, RAIN, SNOW, CLOUDS, MAIN, DESCRIPTION, DATE, VOLUME, FIELDS };

static const EbbShares shares = {0.1, 0.15};

typedef struct Date {
  int year, month, day, hour;
} Date;

/* A whole number of at most four digits. */
static bool take_number(const char **at, int *out) {
  const char *from = *at;
  for (*out = 0; **at >= '0' && **at <= '9' && *at - from < 4; ++*at) *out = 10 * *out + (**at - '0');
  return *at > from;
}

static bool take_sign(const char **at, char sign) { return *(*at)++ == sign; }

static bool is_date(const Date *d) {
  return d->year >= 1 && d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= 31 && d->hour <= 23;
}

/* YYYY-MM-DD HH:..., or DD/MM/YYYY HH:... as some copies have it. */
static bool parse_date(const char *text, Date *d) {
  const char *at = text;
  if (strchr(text, '-')) {
    return take_number(&at, &d->year) && take_sign(&at, '-') && take_number(&at, &d->month) &&
           take_sign(&at, '-') && take_number(&at, &d->day) && take_sign(&at, ' ') &&
           take_number(&at, &d->hour) && is_date(d);
  }
  return take_number(&at, &d->day) && take_sign(&at, '/') && take_number(&at, &d->month) &&
         take_sign(&at, '/') && take_number(&at, &d->year) && take_sign(&at, ' ') &&
         take_number(&at, &d->hour) && is_date(d);
}

/* Monday 0. Source: Sakamoto's rule. */
static int weekday(const Date *d) {
  static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
  const int y = d->month < 3 ? d->year - 1 : d->year;
  return (y + y / 4 - y / 100 + y / 400 + shift[d->month - 1] + d->day + 6) % 7;
}

static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  EbbRecordings *r = context;
  EBB_TRY(ebb_csv_expect(csv, FIELDS));
  if (index == 0) return EBB_OK;
  Date date;
  float x[INPUTS], volume;
  if (!parse_date(csv->field[DATE], &date))
    return ebb_fail(EBB_FORMAT, "%s:%lld: field %d is '%.40s', not a date such as 2012-10-02 09:00:00",
                    csv->origin, (long long)csv->line, DATE + 1, csv->field[DATE]);
  /* The published code compares a text with None, which never holds. */
  x[HOLIDAY_INPUT] = !r->options.paper && !ebb_csv_is_missing(csv->field[HOLIDAY]);
  EBB_TRY(ebb_record_numbers(csv, TEMPERATURE, 4, &x[TEMPERATURE_INPUT]));
  x[5] = (float)weekday(&date);
  x[6] = (float)sin(acos(-1) * date.hour / 24);
  EBB_TRY(ebb_record_numbers(csv, VOLUME, 1, &volume));
  return ebb_series_append(&r->series[0], x, &volume, 0);
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {
      "traffic", r->options.folder,
      "Metro_Interstate_Traffic_Volume.csv of UCI's Metro Interstate Traffic Volume"};
  EBB_TRY(ebb_recordings_add(r, INPUTS, 1));
  EBB_TRY(ebb_records_read(&source, "Metro_Interstate_Traffic_Volume.csv", ',', read_record, r));
  EbbMoments temperature;
  EBB_TRY(ebb_recordings_moments(r, shares, EBB_INPUTS, TEMPERATURE_INPUT, &temperature));
  temperature.deviation = 1;
  ebb_series_scale(&r->series[0], EBB_INPUTS, TEMPERATURE_INPUT, temperature);
  EBB_TRY(ebb_recordings_normalise(r, shares, EBB_TARGETS, 0));
  EBB_TRY(ebb_recordings_split(r, shares, SEED, LENGTH, STRIDE));
  return ebb_recordings_finish(r, 0, LENGTH);
}

EbbStatus ebb_traffic_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("traffic", options, build, NULL, out);
}
