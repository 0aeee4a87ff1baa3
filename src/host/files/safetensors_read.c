#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebb/safetensors.h"
#include "safetensors_limits.h"

typedef struct Metadata {
  const char *key, *value;
} Metadata;

struct EbbSafetensors {
  cJSON *root; /* owns names, keys and values */
  EbbStoredTensor *tensors;
  Metadata *metadata;
  int64_t n_tensors, n_metadata;
  void *map; /* NULL where the caller owns the bytes */
  size_t map_length;
};

/* What is being parsed: lives only as long as the parse. */
typedef struct Source {
  const char *origin;
  const unsigned char *data; /* behind the header */
  uint64_t data_bytes;
} Source;

EBB_PRINTF(3, 4)
static EbbStatus fail_tensor(const Source *source, const char *name, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return ebb_fail(EBB_FORMAT, "%s: tensor '%.200s' %s", source->origin, name, text);
}

/* What the JSON library lets pass: NUL, which would cut names short, and raw control characters. */
static EbbStatus check_characters(const Source *source, const char *text, uint64_t length) {
  bool inside = false;
  for (uint64_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    bool space = c == '\t' || c == '\n' || c == '\r';
    if (c < ' ' && (inside || !space))
      return ebb_fail(EBB_FORMAT, "%s: control character 0x%02x at byte %" PRIu64 " of the header",
                      source->origin, c, i);
    if (inside && c == '\\') {
      if (strncmp(text + i, "\\u0000", 6) == 0)
        return ebb_fail(EBB_FORMAT, "%s: a string with a NUL character at byte %" PRIu64 " of the header",
                        source->origin, i);
      i++;
    } else if (c == '"') {
      inside = !inside;
    }
  }
  return EBB_OK;
}

/* `text` is NUL-terminated and the NUL is shown to the library, which may look one byte too far otherwise. */
static EbbStatus parse_json(const Source *source, const char *text, uint64_t length, cJSON **root) {
  const char *end = text;
  EBB_TRY(check_characters(source, text, length));
  if (text[0] != '{')
    return ebb_fail(EBB_FORMAT,
                    "%s: the header must be a JSON object and begin with '{' (not a safetensors file?)",
                    source->origin);
  *root = cJSON_ParseWithLengthOpts(text, length + 1, &end, 0);
  if (!*root)
    return ebb_fail(EBB_FORMAT, "%s: invalid JSON at byte %td of the header", source->origin, end - text);
  end += strspn(end, " \t\r\n");
  if (*end)
    return ebb_fail(EBB_FORMAT, "%s: more text after the JSON object at byte %td of the header",
                    source->origin, end - text);
  return EBB_OK;
}

static EbbStatus read_header(const Source *source, const unsigned char *bytes, uint64_t length,
                             cJSON **root) {
  char *text = malloc(length + 1);
  if (!text)
    return ebb_fail(EBB_MEMORY, "%s: no memory for a header of %" PRIu64 " bytes", source->origin, length);
  memcpy(text, bytes, length);
  text[length] = '\0';
  EbbStatus status = parse_json(source, text, length, root);
  free(text);
  return status;
}

/* JSON numbers are doubles here: from 2^53 on neighbours could not be told apart. */
static bool whole_number(const cJSON *item, int64_t *value) {
  double number = item->valuedouble;
  if (!cJSON_IsNumber(item) || !(number >= 0 && number < 0x1p53) || number != (double)(int64_t)number)
    return false;
  *value = (int64_t)number;
  return true;
}

static EbbStatus fail_number(const Source *source, const char *name, const char *field, int index,
                             const cJSON *item) {
  if (!cJSON_IsNumber(item))
    return fail_tensor(source, name, "has a %s[%d] that is not a number", field, index);
  return fail_tensor(source, name, "has %s[%d] = %.17g, expected a whole number from 0 to 2^53 - 1", field,
                     index, item->valuedouble);
}

static EbbStatus read_type(const Source *source, const cJSON *item, EbbStoredTensor *tensor) {
  if (!cJSON_IsString(item)) return fail_tensor(source, tensor->name, "has a 'dtype' that is not a string");
  for (int type = EBB_ST_F64; type <= EBB_ST_BOOL; type++) {
    tensor->type = (EbbStored)type;
    if (strcmp(ebb_stored_name(tensor->type), item->valuestring) == 0) return EBB_OK;
  }
  return fail_tensor(source, tensor->name,
                     "has dtype '%.40s', expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL",
                     item->valuestring);
}

/* The product is checked in the order in which ebb_shape_size forms it, so a 0 further on excuses nothing. */
static EbbStatus read_shape(const Source *source, const cJSON *item, EbbStoredTensor *tensor) {
  const int64_t most = (int64_t)1 << 53;
  const cJSON *entry;
  int64_t size = 1;
  if (!cJSON_IsArray(item)) return fail_tensor(source, tensor->name, "has a 'shape' that is not an array");
  int rank = cJSON_GetArraySize(item), i = 0;
  if (rank > EBB_MAX_RANK)
    return fail_tensor(source, tensor->name, "has %d dimensions, at most %d are possible", rank,
                       EBB_MAX_RANK);
  tensor->shape.rank = rank;
  cJSON_ArrayForEach(entry, item) {
    int64_t n;
    if (!whole_number(entry, &n)) return fail_number(source, tensor->name, "shape", i, entry);
    if (size > 0 && n > most / size)
      return fail_tensor(source, tensor->name, "has more than 2^53 elements up to shape[%d] = %" PRId64, i,
                         n);
    size *= n;
    tensor->shape.dim[i++] = n;
  }
  return EBB_OK;
}

static EbbStatus read_offsets(const Source *source, const cJSON *item, EbbStoredTensor *tensor) {
  int64_t offset[2];
  if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2)
    return fail_tensor(source, tensor->name, "has 'data_offsets' that are not an array of two numbers");
  for (int i = 0; i < 2; i++) {
    const cJSON *entry = cJSON_GetArrayItem(item, i);
    if (!whole_number(entry, &offset[i])) return fail_number(source, tensor->name, "data_offsets", i, entry);
  }
  if (offset[0] > offset[1])
    return fail_tensor(source, tensor->name, "begins at byte %" PRId64 ", after its end at byte %" PRId64,
                       offset[0], offset[1]);
  if ((uint64_t)offset[1] > source->data_bytes)
    return fail_tensor(source, tensor->name,
                       "ends at byte %" PRId64 " but the file holds %" PRIu64
                       " bytes of data: it is cut short",
                       offset[1], source->data_bytes);
  tensor->data = source->data + offset[0];
  tensor->bytes = (uint64_t)(offset[1] - offset[0]);
  return EBB_OK;
}

static const struct {
  const char *name;
  EbbStatus (*read)(const Source *source, const cJSON *item, EbbStoredTensor *tensor);
} fields[] = {{"dtype", read_type}, {"shape", read_shape}, {"data_offsets", read_offsets}};

enum { N_FIELDS = sizeof fields / sizeof *fields };

static EbbStatus read_fields(const Source *source, const cJSON *entry, EbbStoredTensor *tensor) {
  const cJSON *item;
  bool seen[N_FIELDS] = {false};
  cJSON_ArrayForEach(item, entry) {
    int i = 0;
    while (i < N_FIELDS && strcmp(fields[i].name, item->string) != 0) i++;
    if (i == N_FIELDS) return fail_tensor(source, tensor->name, "has an unknown field '%.80s'", item->string);
    if (seen[i]) return fail_tensor(source, tensor->name, "has the field '%s' twice", item->string);
    seen[i] = true;
    EBB_TRY(fields[i].read(source, item, tensor));
  }
  for (int i = 0; i < N_FIELDS; i++)
    if (!seen[i]) return fail_tensor(source, tensor->name, "has no field '%s'", fields[i].name);
  return EBB_OK;
}

static EbbStatus read_tensor(const Source *source, const cJSON *entry, EbbStoredTensor *tensor) {
  char text[160];
  tensor->name = entry->string;
  if (!cJSON_IsObject(entry))
    return fail_tensor(source, tensor->name, "is not an object with dtype, shape and data_offsets");
  EBB_TRY(read_fields(source, entry, tensor));
  uint64_t bytes = (uint64_t)ebb_shape_size(&tensor->shape) * (uint64_t)ebb_stored_size(tensor->type);
  if (bytes == tensor->bytes) return EBB_OK;
  return fail_tensor(source, tensor->name,
                     "of type %s and shape %s takes %" PRIu64 " bytes, but its data_offsets span %" PRIu64,
                     ebb_stored_name(tensor->type), ebb_shape_text(&tensor->shape, text, sizeof text), bytes,
                     tensor->bytes);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const Metadata *)a)->key, ((const Metadata *)b)->key);
}

static EbbStatus read_metadata(const Source *source, const cJSON *object, EbbSafetensors *file) {
  const cJSON *item;
  if (!cJSON_IsObject(object))
    return ebb_fail(EBB_FORMAT, "%s: '" SAFETENSORS_METADATA "' is not an object of strings", source->origin);
  if (file->metadata)
    return ebb_fail(EBB_FORMAT, "%s: '" SAFETENSORS_METADATA "' stands twice in the header", source->origin);
  file->metadata = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof *file->metadata);
  if (!file->metadata) return ebb_fail(EBB_MEMORY, "%s: no memory for its metadata", source->origin);
  cJSON_ArrayForEach(item, object) {
    if (!cJSON_IsString(item))
      return ebb_fail(EBB_FORMAT, "%s: the metadata '%.200s' is not a string", source->origin, item->string);
    file->metadata[file->n_metadata++] = (Metadata){item->string, item->valuestring};
  }
  qsort(file->metadata, (size_t)file->n_metadata, sizeof *file->metadata, by_key);
  for (int64_t i = 1; i < file->n_metadata; i++)
    if (strcmp(file->metadata[i - 1].key, file->metadata[i].key) == 0)
      return ebb_fail(EBB_FORMAT, "%s: the metadata '%.200s' stands twice in the header", source->origin,
                      file->metadata[i].key);
  return EBB_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const EbbStoredTensor *)a)->name, ((const EbbStoredTensor *)b)->name);
}

/* Empty tensors first, which may share their place with the beginning of another. */
static int by_place(const void *a, const void *b) {
  const EbbStoredTensor *x = a, *y = b;
  if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* `tensors` in the order of their data. */
static EbbStatus check_places(const Source *source, const EbbStoredTensor *tensors, int64_t n) {
  uint64_t end = 0;
  for (int64_t i = 0; i < n; i++) {
    uint64_t begin = (uint64_t)((const unsigned char *)tensors[i].data - source->data);
    if (begin < end)
      return fail_tensor(source, tensors[i].name,
                         "begins at byte %" PRIu64
                         " and overlaps tensor '%.200s', which ends at byte %" PRIu64,
                         begin, tensors[i - 1].name, end);
    if (begin > end)
      return fail_tensor(source, tensors[i].name,
                         "begins at byte %" PRIu64 " and leaves a hole after byte %" PRIu64, begin, end);
    end = begin + tensors[i].bytes;
  }
  if (end == source->data_bytes) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: has %" PRIu64 " bytes of data, but its tensors end at byte %" PRIu64,
                  source->origin, source->data_bytes, end);
}

static EbbStatus read_tensors(const Source *source, EbbSafetensors *file) {
  const cJSON *entry;
  file->tensors = calloc((size_t)cJSON_GetArraySize(file->root) + 1, sizeof *file->tensors);
  if (!file->tensors) return ebb_fail(EBB_MEMORY, "%s: no memory for its list of tensors", source->origin);
  cJSON_ArrayForEach(entry, file->root) {
    if (strcmp(entry->string, SAFETENSORS_METADATA) == 0)
      EBB_TRY(read_metadata(source, entry, file));
    else
      EBB_TRY(read_tensor(source, entry, &file->tensors[file->n_tensors++]));
  }
  size_t n = (size_t)file->n_tensors, size = sizeof *file->tensors;
  qsort(file->tensors, n, size, by_name);
  for (size_t i = 1; i < n; i++)
    if (by_name(&file->tensors[i - 1], &file->tensors[i]) == 0)
      return fail_tensor(source, file->tensors[i].name, "stands twice in the header");
  qsort(file->tensors, n, size, by_place);
  EBB_TRY(check_places(source, file->tensors, file->n_tensors));
  qsort(file->tensors, n, size, by_name);
  return EBB_OK;
}

static EbbStatus parse(const unsigned char *bytes, uint64_t length, const char *origin,
                       EbbSafetensors *file) {
  uint64_t header;
  if (length < sizeof header)
    return ebb_fail(EBB_FORMAT,
                    "%s: has %" PRIu64 " bytes, a safetensors file begins with 8 bytes of header length",
                    origin, length);
  memcpy(&header, bytes, sizeof header);
  uint64_t rest = length - sizeof header;
  if (header > SAFETENSORS_MAX_HEADER)
    return ebb_fail(EBB_FORMAT,
                    "%s: claims a header of %" PRIu64
                    " bytes, at most %d are possible (not a safetensors file?)",
                    origin, header, SAFETENSORS_MAX_HEADER);
  if (header > rest)
    return ebb_fail(EBB_FORMAT,
                    "%s: claims a header of %" PRIu64 " bytes but only %" PRIu64 " follow: it is cut short",
                    origin, header, rest);
  Source source = {origin, bytes + sizeof header + header, rest - header};
  EBB_TRY(read_header(&source, bytes + sizeof header, header, &file->root));
  return read_tensors(&source, file);
}

EbbStatus ebb_safetensors_parse(const void *bytes, uint64_t length, const char *origin,
                                EbbSafetensors **out) {
  *out = NULL;
  EbbSafetensors *file = calloc(1, sizeof *file);
  if (!file) return ebb_fail(EBB_MEMORY, "%s: no memory to read it", origin);
  EbbStatus status = parse(bytes, length, origin, file);
  if (status == EBB_OK)
    *out = file;
  else
    ebb_safetensors_close(file);
  return status;
}

static EbbStatus map_file(int fd, const char *path, EbbSafetensors **out) {
  struct stat info;
  if (fstat(fd, &info)) return ebb_fail(EBB_IO, "%s: cannot tell its size: %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return ebb_fail(EBB_IO, "%s: is %s, expected a safetensors file", path,
                    S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
  size_t length = (size_t)info.st_size;
  if (length == 0) return ebb_safetensors_parse("", 0, path, out);
  void *map = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return ebb_fail(EBB_IO, "%s: cannot map %zu bytes into memory: %s", path, length, strerror(errno));
  EbbSafetensors *file = NULL;
  EbbStatus status = ebb_safetensors_parse(map, length, path, &file);
  if (!file) {
    munmap(map, length);
    return status;
  }
  file->map = map;
  file->map_length = length;
  *out = file;
  return EBB_OK;
}

EbbStatus ebb_safetensors_open(const char *path, EbbSafetensors **out) {
  *out = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a pipe would wait for its writer */
  if (fd < 0)
    return ebb_fail(errno == ENOENT || errno == ENOTDIR ? EBB_NOT_FOUND : EBB_IO, "%s: cannot open: %s", path,
                    strerror(errno));
  EbbStatus status = map_file(fd, path, out);
  close(fd);
  return status;
}

void ebb_safetensors_close(EbbSafetensors *file) {
  if (!file) return;
  if (file->map) munmap(file->map, file->map_length);
  cJSON_Delete(file->root);
  free(file->tensors);
  free(file->metadata);
  free(file);
}

int64_t ebb_safetensors_count(const EbbSafetensors *file) { return file->n_tensors; }

const EbbStoredTensor *ebb_safetensors_at(const EbbSafetensors *file, int64_t index) {
  return &file->tensors[index];
}

const EbbStoredTensor *ebb_safetensors_find(const EbbSafetensors *file, const char *name) {
  const EbbStoredTensor key = {.name = name};
  return bsearch(&key, file->tensors, (size_t)file->n_tensors, sizeof key, by_name);
}

const char *ebb_safetensors_metadata(const EbbSafetensors *file, const char *key) {
  const Metadata wanted = {.key = key};
  if (!file->metadata) return NULL;
  const Metadata *found = bsearch(&wanted, file->metadata, (size_t)file->n_metadata, sizeof wanted, by_key);
  return found ? found->value : NULL;
}
