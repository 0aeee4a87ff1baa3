/* Setup of the liquid terms: checks and buffers. */
#include "host/ops/s4_liquid.h"

#include <limits.h>

#include "host/ops/s4_combinations.h"

static EbbStatus check(const EbbSetup *setup, const EbbS4Liquid *liquid) {
  const char *where = ebb_setup_where(setup);
  if ((unsigned)liquid->kind >= EBB_S4_LIQUID_KINDS || (unsigned)liquid->contract >= EBB_S4_CONTRACTS)
    return ebb_fail(EBB_INVALID, "%s: there is no liquid kind %d with contraction %d", where,
                    (int)liquid->kind, (int)liquid->contract);
  if (liquid->degree < 2)
    return ebb_fail(EBB_INVALID, "%s: liquid_degree is %lld; products of inputs start at degree 2", where,
                    (long long)liquid->degree);
  if (liquid->n_ssm != 1 && liquid->n_ssm != liquid->H)
    return ebb_fail(EBB_INVALID, "%s: liquid_kernel needs n_ssm = 1 or n_ssm = d_model (%lld), not %lld",
                    where, (long long)liquid->H, (long long)liquid->n_ssm);
  if (liquid->M < 1)
    return ebb_fail(EBB_INVALID, "%s: the state has %lld modes; 1 is the least", where, (long long)liquid->M);
  if (liquid->allcombs && liquid->L - 3 < liquid->degree)
    return ebb_fail(
        EBB_INVALID,
        "%s: sequences of length %lld are too short for all combinations of degree %lld, which need L >= "
        "%lld; use longer sequences, a lower model.layer.liquid_degree or model.layer.allcombs=false",
        where, (long long)liquid->L, (long long)liquid->degree, (long long)liquid->degree + 3);
  if (!liquid->allcombs && liquid->degree > INT_MAX)
    return ebb_fail(EBB_INVALID, "%s: liquid_degree is %lld", where, (long long)liquid->degree);
  return EBB_OK;
}

static EbbStatus declare(EbbSetup *setup, const char *name, EbbShape shape, const float **value) {
  EbbParamSpec spec = {.name = name, .shape = shape, .buffer = true};
  float *writable = NULL;
  EBB_TRY(ebb_setup_buffer(setup, &spec, &writable));
  *value = writable;
  return EBB_OK;
}

EbbStatus ebb_s4_liquid_setup(EbbSetup *setup, const EbbS4LiquidConfig *config, int64_t H, int64_t L,
                              int64_t Lk, bool bidirectional, EbbS4Liquid *liquid) {
  *liquid = (EbbS4Liquid){.kind = config->kind,
                          .contract = config->contract,
                          .allcombs = config->allcombs,
                          .degree = config->degree,
                          .n_ssm = config->n_ssm ? config->n_ssm : H,
                          .M = config->M,
                          .H = H,
                          .L = L,
                          .Lk = Lk,
                          .channels = bidirectional ? 2 : 1};
  if (config->kind == EBB_S4_PLAIN) return EBB_OK;
  EBB_TRY(check(setup, liquid));
  const int64_t n_ssm = liquid->n_ssm, M = liquid->M;
  EBB_TRY(declare(setup, "liquid.B", ebb_shape(n_ssm, M, 2), &liquid->B));
  EBB_TRY(declare(setup, "liquid.C", ebb_shape(liquid->channels, H, M, 2), &liquid->C));
  EBB_TRY(declare(setup, "liquid.w", ebb_shape(n_ssm, M, 2), &liquid->w));
  EBB_TRY(declare(setup, "liquid.log_dt", ebb_shape(H), &liquid->log_dt));
  if (liquid->allcombs) EBB_TRY(ebb_s4_combinations_setup(setup, liquid));
  if (config->kind != EBB_S4_KB) return EBB_OK;
  EBB_TRY(ebb_setup_fft(setup, Lk + L, &liquid->rows_fft));
  return ebb_setup_fft(setup, (Lk + L) / 2 + 1, &liquid->taps_fft);
}
