/* One ListOps expression: drawn by the Long Range Arena's rules, hashed, and written in its string form. */
#ifndef EBB_HOST_DATA_LISTOPS_TREE_H
#define EBB_HOST_DATA_LISTOPS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Preorder codes: a digit is its value; an operator is LISTOPS_OPERATOR + its index, then its number of
   arguments. A tree thus has as many codes as tokens (operator and closing bracket count, parentheses do
   not).
 */
enum { LISTOPS_DIGITS = 10, LISTOPS_OPERATOR = 16, LISTOPS_MOST_ARGS = 250, LISTOPS_MOST_DEPTH = 100 };

/* What became of the draws for one sample; every draw but the last was rejected. */
typedef struct EbbListopsDraw {
  int64_t length; /* tokens of the accepted tree, 0: none within the limit of draws */
  int target;     /* its value, 0..9 */
  int64_t too_short, too_long;
  int64_t longest_short; /* longest of the trees that were too short */
} EbbListopsDraw;

typedef struct EbbListopsRules {
  int max_depth, max_args;
  int64_t min_length, max_length; /* both exclusive */
  int64_t most_draws;
} EbbListopsRules;

/* Draws trees from the random stream of (seed, sample) until one has an allowed length. `codes` has room for
   max_length codes. */
EbbListopsDraw ebb_listops_draw(const EbbListopsRules *rules, uint64_t seed, uint64_t sample, uint8_t *codes);

/* Length of the longest tree there is, or `limit` if that is shorter. */
int64_t ebb_listops_longest(int max_depth, int max_args, int64_t limit);

/* Never 0. */
uint64_t ebb_listops_hash(const uint8_t *codes, int64_t length);

/* Bytes of the string form "( ( ( [MAX 2 ) 9 ) ] )", and the form itself without a closing 0; returns its
 * end.
 */
size_t ebb_listops_text_size(const uint8_t *codes, int64_t length);
char *ebb_listops_text(const uint8_t *codes, char *out);

#endif
