#include "host/data/listops_tree.h"

#include <string.h>

#include "ebb/rng.h"

enum { LISTOPS_NODE = 0x1157, TOO_LONG = -1 };

static const float OPERATOR_SHARE = 0.25F;

/* Operators take the histogram of their k arguments, so the order of the arguments is already gone. */
static int smallest(const int *count, int k) {
  (void)k;
  int digit = 0;
  while (count[digit] == 0) digit++;
  return digit;
}

static int largest(const int *count, int k) {
  (void)k;
  int digit = LISTOPS_DIGITS - 1;
  while (count[digit] == 0) digit--;
  return digit;
}

static int ranked(const int *count, int rank) {
  int digit = 0;
  for (int below = count[0]; below <= rank; below += count[digit]) digit++;
  return digit;
}

static int median(const int *count, int k) { return (ranked(count, (k - 1) / 2) + ranked(count, k / 2)) / 2; }

static int sum_modulo(const int *count, int k) {
  (void)k;
  int sum = 0;
  for (int digit = 0; digit < LISTOPS_DIGITS; digit++) sum += digit * count[digit];
  return sum % LISTOPS_DIGITS;
}

static const struct {
  const char *text;
  int (*value)(const int *count, int k);
} operators[] = {{"[MIN", smallest}, {"[MAX", largest}, {"[MED", median}, {"[SM", sum_modulo}};

enum { N_OPERATORS = sizeof operators / sizeof *operators };

typedef struct Drawer {
  const EbbListopsRules *rules;
  uint64_t seed, sample, n_words;
  EbbRandom4 words;
  uint8_t *codes;
  int64_t length;
} Drawer;

static uint32_t next_word(Drawer *drawer) {
  uint64_t n = drawer->n_words++;
  if ((n & 3) == 0) drawer->words = ebb_random4(drawer->seed, drawer->sample, LISTOPS_NODE, n >> 2);
  return drawer->words.word[n & 3];
}

/* Appends one subtree and returns its value; TOO_LONG as soon as the tree cannot be accepted any more. */
static int draw_node(Drawer *drawer, int depth) {
  const EbbListopsRules *rules = drawer->rules;
  bool leaf = depth >= rules->max_depth || ebb_unit_float(next_word(drawer)) > OPERATOR_SHARE;
  int64_t at = drawer->length;
  drawer->length += leaf ? 1 : 2;
  if (drawer->length >= rules->max_length) return TOO_LONG;
  if (leaf) {
    int digit = (int)ebb_below(next_word(drawer), LISTOPS_DIGITS);
    drawer->codes[at] = (uint8_t)digit;
    return digit;
  }
  int k = 2 + (int)ebb_below(next_word(drawer), (uint32_t)rules->max_args - 1), count[LISTOPS_DIGITS] = {0};
  for (int i = 0; i < k; i++) {
    int value = draw_node(drawer, depth + 1);
    if (value == TOO_LONG) return TOO_LONG;
    count[value]++;
  }
  uint32_t operator_index = ebb_below(next_word(drawer), N_OPERATORS);
  drawer->codes[at] = (uint8_t)(LISTOPS_OPERATOR + operator_index);
  drawer->codes[at + 1] = (uint8_t)k;
  return operators[operator_index].value(count, k);
}

EbbListopsDraw ebb_listops_draw(const EbbListopsRules *rules, uint64_t seed, uint64_t sample,
                                uint8_t *codes) {
  Drawer drawer = {.rules = rules, .seed = seed, .sample = sample};
  drawer.codes = codes;
  EbbListopsDraw draw = {0};
  for (int64_t n = 0; n < rules->most_draws; n++) {
    drawer.length = 0;
    int value = draw_node(&drawer, 1);
    if (value == TOO_LONG) {
      draw.too_long++;
    } else if (drawer.length <= rules->min_length) {
      draw.too_short++;
      if (drawer.length > draw.longest_short) draw.longest_short = drawer.length;
    } else {
      draw.length = drawer.length;
      draw.target = value;
      break;
    }
  }
  return draw;
}

int64_t ebb_listops_longest(int max_depth, int max_args, int64_t limit) {
  int64_t longest = 1;
  for (int depth = 1; depth < max_depth && longest < limit; depth++) longest = 2 + max_args * longest;
  return longest < limit ? longest : limit;
}

/* FNV-1a with 64 bits. */
uint64_t ebb_listops_hash(const uint8_t *codes, int64_t length) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (int64_t i = 0; i < length; i++) hash = (hash ^ codes[i]) * 0x100000001B3U;
  return hash ? hash : 1;
}

/* Of an operator with k arguments: k + 1 times "( ", its name, k times " " and " )", and " ] )". */
size_t ebb_listops_text_size(const uint8_t *codes, int64_t length) {
  size_t bytes = 0;
  for (int64_t i = 0; i < length; i++) {
    if (codes[i] < LISTOPS_DIGITS) {
      bytes++;
      continue;
    }
    const char *name = operators[codes[i] - LISTOPS_OPERATOR].text;
    size_t k = codes[++i];
    bytes += 2 * (k + 1) + strlen(name) + 3 * k + 4;
  }
  return bytes;
}

static char *put(char *out, const char *text) {
  while (*text) *out++ = *text++;
  return out;
}

static char *put_node(const uint8_t **codes, char *out) {
  int code = *(*codes)++;
  if (code < LISTOPS_DIGITS) {
    *out = (char)('0' + code);
    return out + 1;
  }
  int k = *(*codes)++;
  for (int i = 0; i <= k; i++) out = put(out, "( ");
  out = put(out, operators[code - LISTOPS_OPERATOR].text);
  for (int i = 0; i < k; i++) {
    *out++ = ' ';
    out = put(put_node(codes, out), " )");
  }
  return put(out, " ] )");
}

char *ebb_listops_text(const uint8_t *codes, char *out) { return put_node(&codes, out); }
