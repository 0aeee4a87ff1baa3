/* Leaky-integration attention as a layer: projections around ops/leaky_attention.h. */
#ifndef EBB_ATTENTION_H
#define EBB_ATTENTION_H

#include "ebb/graph.h"
#include "ebb/ops/leaky_attention.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x (B, T, D), lengths (B) or EBB_NO_VALUE -> y (B, T, D) = o(attention(q(x), k(x), v(x))) with dense layers
   `scope`.q, .k, .v and .o, torch's initial values. weights (may be NULL): (B, heads, T, T). Padded queries
   get an output too, from the keys that are there. Errors: those of the ops. Source: kyegomez/Liquid,
   LeakyAttention.py.
 */
EbbStatus ebb_leaky_attention_record(EbbGraph *graph, const char *scope,
                                     const EbbLeakyAttentionConfig *config, EbbValue x, EbbValue lengths,
                                     EbbValue *y, EbbValue *weights) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
