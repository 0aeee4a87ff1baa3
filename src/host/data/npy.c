#include "host/data/npy.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MOST_ELEMENTS = (int64_t)1 << 40;

/* The header's Python dict, between `at` and `end`. */
typedef struct Header {
  const char *origin, *at, *end;
  bool texts; /* are wanted, not numbers */
  char kind;  /* b i u f, of texts U S */
  int bytes;  /* of an element */
  bool swapped, fortran, has_type, has_order, has_shape;
} Header;

void ebb_npy_release(EbbNpy *npy) {
  free(npy->values);
  *npy = (EbbNpy){0};
}

static EbbStatus malformed(const Header *h, const char *what) {
  return ebb_fail(EBB_FORMAT, "%s: %s", h->origin, what);
}

static void skip_blanks(Header *h) {
  while (h->at < h->end && strchr(" \t\r\n", *h->at) && *h->at) h->at++;
}

/* Whether the next sign is c, which is then read. */
static bool take(Header *h, char c) {
  skip_blanks(h);
  if (h->at == h->end || *h->at != c) return false;
  h->at++;
  return true;
}

static bool take_word(Header *h, const char *word) {
  skip_blanks(h);
  const size_t length = strlen(word);
  if ((size_t)(h->end - h->at) < length || memcmp(h->at, word, length) != 0) return false;
  h->at += length;
  return true;
}

/* A quoted text without escapes. */
static bool take_text(Header *h, char *text, size_t size) {
  skip_blanks(h);
  if (h->at == h->end || (*h->at != '\'' && *h->at != '"')) return false;
  const char quote = *h->at++, *from = h->at;
  while (h->at < h->end && *h->at != quote) h->at++;
  const size_t length = (size_t)(h->at - from);
  if (h->at == h->end || length >= size) return false;
  memcpy(text, from, length);
  text[length] = 0;
  h->at++;
  return true;
}

static bool little_endian(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static void set_order(Header *h, char order) {
  h->swapped = (order == '<' && !little_endian()) || (order == '>' && little_endian());
  h->has_type = true;
}

/* "<U21": so many letters of four bytes each, "|S21": of one. */
static EbbStatus read_text_type(Header *h, const char *text) {
  enum { MOST_DIGITS = 5 };
  const char *digits = text + 2;
  const size_t n = h->kind ? strspn(digits, "0123456789") : 0;
  if (!strchr("<>|=", *text) || !h->kind || !strchr("US", h->kind) || n < 1 || n > MOST_DIGITS || digits[n])
    return ebb_fail(EBB_UNSUPPORTED, "%s: elements of type '%s'; only texts are read", h->origin, text);
  h->bytes = (int)strtol(digits, NULL, 10) * (h->kind == 'U' ? 4 : 1);
  set_order(h, *text);
  return EBB_OK;
}

static EbbStatus read_type(Header *h) {
  char text[32];
  if (!take_text(h, text, sizeof text))
    return ebb_fail(EBB_UNSUPPORTED, "%s: an array of records; only arrays of numbers are read", h->origin);
  const char order = text[0];
  h->kind = order ? text[1] : 0;
  if (h->kind == 'O')
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: holds pickled Python objects, which are programs and are not run; save the array as "
                    "numbers",
                    h->origin);
  if (h->texts) return read_text_type(h, text);
  if (!order || !strchr("<>|=", order) || !h->kind || !strchr("biuf", h->kind) || strlen(text) != 3)
    return ebb_fail(EBB_UNSUPPORTED, "%s: elements of type '%s'; only bool, integers and floats are read",
                    h->origin, text);
  h->bytes = text[2] - '0';
  const char *sizes = h->kind == 'b' ? "1" : h->kind == 'f' ? "248" : "1248";
  if (!strchr(sizes, text[2]))
    return ebb_fail(EBB_UNSUPPORTED, "%s: elements of type '%s'; only bool, integers and floats are read",
                    h->origin, text);
  set_order(h, order);
  return EBB_OK;
}

static EbbStatus read_order(Header *h) {
  h->fortran = take_word(h, "True");
  if (!h->fortran && !take_word(h, "False"))
    return malformed(h, "the header's fortran_order is neither True nor False");
  h->has_order = true;
  return EBB_OK;
}

static EbbStatus read_dimension(Header *h, EbbNpy *npy) {
  int64_t n = 0;
  const char *from = h->at;
  for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
    n = 10 * n + (*h->at - '0');
    if (n > MOST_ELEMENTS) return malformed(h, "a dimension is absurdly large");
  }
  if (h->at == from) return malformed(h, "the header's shape is no list of numbers");
  if (npy->rank == EBB_NPY_MOST_RANK) return malformed(h, "the array has more than 8 dimensions");
  npy->dim[npy->rank++] = n;
  if (n > 0 && npy->size > MOST_ELEMENTS / n) return malformed(h, "the array is absurdly large");
  npy->size *= n;
  return EBB_OK;
}

static EbbStatus read_shape(Header *h, EbbNpy *npy) {
  if (!take(h, '(')) return malformed(h, "the header's shape does not begin with a bracket");
  npy->rank = 0, npy->size = 1;
  while (!take(h, ')')) {
    if (npy->rank > 0 && !take(h, ',')) return malformed(h, "the header's shape lacks a comma");
    if (npy->rank > 0 && take(h, ')')) break;
    skip_blanks(h);
    EBB_TRY(read_dimension(h, npy));
  }
  h->has_shape = true;
  return EBB_OK;
}

static EbbStatus read_entry(Header *h, EbbNpy *npy) {
  char key[32];
  if (!take_text(h, key, sizeof key) || !take(h, ':'))
    return malformed(h, "the header is no list of entries");
  if (strcmp(key, "descr") == 0) return read_type(h);
  if (strcmp(key, "fortran_order") == 0) return read_order(h);
  if (strcmp(key, "shape") == 0) return read_shape(h, npy);
  return ebb_fail(EBB_FORMAT, "%s: the header has an unknown entry '%s'", h->origin, key);
}

static EbbStatus read_header(Header *h, EbbNpy *npy) {
  if (!take(h, '{')) return malformed(h, "the header does not begin with a brace");
  while (!take(h, '}')) {
    EBB_TRY(read_entry(h, npy));
    if (!take(h, ',')) {
      if (take(h, '}')) break;
      return malformed(h, "the header lacks a comma");
    }
  }
  skip_blanks(h);
  if (h->at != h->end) return malformed(h, "text follows the header's closing brace");
  if (!h->has_type || !h->has_order || !h->has_shape)
    return malformed(h, "the header lacks descr, fortran_order or shape");
  return EBB_OK;
}

static double half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 0    ? ldexp(fraction, -24)
                 : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                  : ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -value : value;
}

/* The low `bytes` of an element as one word. */
static uint64_t word_of(const Header *h, const unsigned char *from) {
  uint64_t word = 0;
  const bool big = h->swapped == little_endian();
  for (int i = 0; i < h->bytes; i++) word |= (uint64_t)from[big ? h->bytes - 1 - i : i] << 8 * i;
  return word;
}

static double number_of(const Header *h, const unsigned char *from) {
  const uint64_t word = word_of(h, from);
  if (h->kind == 'f') {
    float single;
    double number;
    const uint32_t low = (uint32_t)word;
    memcpy(&single, &low, sizeof single);
    memcpy(&number, &word, sizeof number);
    return h->bytes == 2 ? half((uint16_t)word) : h->bytes == 4 ? (double)single : number;
  }
  if (h->kind != 'i') return (double)word;
  const uint64_t sign = (uint64_t)1 << (8 * h->bytes - 1); /* two's complement, whatever the machine's */
  return word & sign ? -(double)((~word & (sign - 1)) + 1) : (double)word;
}

/* Where element i of the file stands in row-major order. */
static int64_t row_major(const EbbNpy *npy, int64_t i) {
  int64_t at = 0, stride = npy->size;
  for (int d = 0; d < npy->rank; d++) {
    stride /= npy->dim[d];
    at += i % npy->dim[d] * stride;
    i /= npy->dim[d];
  }
  return at;
}

/* Finds header and elements: the header's place is h, the elements follow at h->end. */
static EbbStatus open_file(const char *bytes, size_t length, Header *h, EbbNpy *npy) {
  const unsigned char *u = (const unsigned char *)bytes;
  if (length < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
    return ebb_fail(EBB_FORMAT, "%s: no .npy file", h->origin);
  const unsigned version = u[6];
  if (version < 1 || version > 3)
    return ebb_fail(EBB_FORMAT, "%s: version %u of .npy is unknown", h->origin, version);
  size_t start = version == 1 ? 10 : 12, header = u[8] | (size_t)u[9] << 8;
  if (version > 1 && length >= start) header |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
  if (length < start || header > length - start)
    return ebb_fail(EBB_FORMAT, "%s: the header is cut off", h->origin);
  h->at = bytes + start, h->end = bytes + start + header;
  EBB_TRY(read_header(h, npy));
  const size_t there = length - start - header, needed = (size_t)npy->size * (size_t)h->bytes;
  if (there != needed)
    return ebb_fail(EBB_FORMAT, "%s: %zu bytes of elements, but its header says %zu; the file is %s",
                    h->origin, there, needed, there < needed ? "cut off" : "longer than it should be");
  return EBB_OK;
}

static EbbStatus read_elements(const Header *h, EbbNpy *npy) {
  npy->values = malloc((size_t)(npy->size ? npy->size : 1) * sizeof *npy->values);
  if (!npy->values)
    return ebb_fail(EBB_MEMORY, "%s: no memory for %lld numbers", h->origin, (long long)npy->size);
  for (int64_t i = 0; i < npy->size; i++) {
    const unsigned char *from = (const unsigned char *)h->end + (size_t)i * (size_t)h->bytes;
    npy->values[h->fortran ? row_major(npy, i) : i] = (float)number_of(h, from);
  }
  return EBB_OK;
}

EbbStatus ebb_npy_parse(const char *bytes, size_t length, const char *origin, EbbNpy *out) {
  *out = (EbbNpy){0};
  Header h = {.origin = origin};
  EBB_TRY(open_file(bytes, length, &h, out));
  out->whole = h.kind != 'f';
  return read_elements(&h, out);
}

void ebb_npy_texts_release(EbbNpyTexts *texts) {
  free(texts->text);
  *texts = (EbbNpyTexts){0};
}

static EbbStatus read_text(const Header *h, const unsigned char *from, char *to) {
  const Header letter = {.bytes = h->kind == 'U' ? 4 : 1, .swapped = h->swapped};
  for (int i = 0; i < h->bytes / letter.bytes; i++) {
    const uint64_t code = word_of(&letter, from + (size_t)i * (size_t)letter.bytes);
    if (code > 127) return malformed(h, "a text is not ASCII");
    to[i] = (char)code;
  }
  return EBB_OK;
}

EbbStatus ebb_npy_parse_texts(const char *bytes, size_t length, const char *origin, EbbNpyTexts *out) {
  *out = (EbbNpyTexts){0};
  EbbNpy shape = {0};
  Header h = {.origin = origin, .texts = true};
  EBB_TRY(open_file(bytes, length, &h, &shape));
  if (shape.rank != 2 || h.bytes < 1) return malformed(&h, "no matrix of texts");
  out->rows = shape.dim[0], out->columns = shape.dim[1];
  out->width = (size_t)h.bytes / (h.kind == 'U' ? 4 : 1) + 1;
  out->text = calloc((size_t)shape.size + 1, out->width);
  if (!out->text) return ebb_fail(EBB_MEMORY, "%s: no memory for %lld texts", origin, (long long)shape.size);
  for (int64_t i = 0; i < shape.size; i++) {
    const int64_t to = h.fortran ? row_major(&shape, i) : i;
    const unsigned char *from = (const unsigned char *)h.end + (size_t)i * (size_t)h.bytes;
    EBB_TRY(read_text(&h, from, out->text + (size_t)to * out->width));
  }
  return EBB_OK;
}
