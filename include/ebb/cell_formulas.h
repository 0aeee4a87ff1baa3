/* The elementwise formulas of recurrent cells, each once for host and device: ebb_cell_<name>(in) of the
   operands in order, and ebb_cell_<name>_grad(in, out, g, d), which sets d[k] = g dout/din[k]. Sources: the
   cells' papers and codes, named in cells.h. */
#ifndef EBB_CELL_FORMULAS_H
#define EBB_CELL_FORMULAS_H

#include "ebb/scalar.h"

/* log(1 + e^x), without overflow. */
EBB_INLINE float ebb_softplusf(float x) { return (x > 0 ? x : 0) + log1pf(ebb_expf(-fabsf(x))); }

/* a + b */
EBB_INLINE float ebb_cell_add(const float *in) { return in[0] + in[1]; }
EBB_INLINE void ebb_cell_add_grad(const float *in, float out, float g, float *d) {
  (void)in, (void)out;
  d[0] = d[1] = g;
}

/* a - b */
EBB_INLINE float ebb_cell_subtract(const float *in) { return in[0] - in[1]; }
EBB_INLINE void ebb_cell_subtract_grad(const float *in, float out, float g, float *d) {
  (void)in, (void)out;
  d[0] = g, d[1] = -g;
}

/* a b */
EBB_INLINE float ebb_cell_multiply(const float *in) { return in[0] * in[1]; }
EBB_INLINE void ebb_cell_multiply_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g * in[1], d[1] = g * in[0];
}

/* x w + b */
EBB_INLINE float ebb_cell_affine(const float *in) { return in[0] * in[1] + in[2]; }
EBB_INLINE void ebb_cell_affine_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g * in[1], d[1] = g * in[0], d[2] = g;
}

EBB_INLINE float ebb_cell_sigmoid(const float *in) { return ebb_sigmoidf(in[0]); }
EBB_INLINE void ebb_cell_sigmoid_grad(const float *in, float out, float g, float *d) {
  (void)in;
  d[0] = g * out * (1 - out);
}

EBB_INLINE float ebb_cell_tanh(const float *in) { return ebb_tanhf(in[0]); }
EBB_INLINE void ebb_cell_tanh_grad(const float *in, float out, float g, float *d) {
  (void)in;
  d[0] = g * (1 - out * out);
}

/* 1.7159 tanh(0.666 x). Source: LeCun et al. 1998, "Efficient BackProp", as CfC has it. */
#define EBB_LECUN_SCALE 1.7159f
#define EBB_LECUN_RATE  0.666f
EBB_INLINE float ebb_cell_lecun_tanh(const float *in) {
  return EBB_LECUN_SCALE * ebb_tanhf(EBB_LECUN_RATE * in[0]);
}
EBB_INLINE void ebb_cell_lecun_tanh_grad(const float *in, float out, float g, float *d) {
  (void)in;
  d[0] = g * EBB_LECUN_RATE * (EBB_LECUN_SCALE - out * out * (1 / EBB_LECUN_SCALE));
}

EBB_INLINE float ebb_cell_relu(const float *in) { return in[0] > 0 ? in[0] : 0; }
EBB_INLINE void ebb_cell_relu_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = in[0] > 0 ? g : 0;
}

/* x sigmoid(x) */
EBB_INLINE float ebb_cell_silu(const float *in) { return in[0] * ebb_sigmoidf(in[0]); }
EBB_INLINE void ebb_cell_silu_grad(const float *in, float out, float g, float *d) {
  const float s = ebb_sigmoidf(in[0]);
  d[0] = g * (s + out * (1 - s));
}

EBB_INLINE float ebb_cell_gelu(const float *in) { return ebb_gelu(in[0]); }
EBB_INLINE void ebb_cell_gelu_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g * ebb_gelu_grad(in[0]);
}

EBB_INLINE float ebb_cell_softplus(const float *in) { return ebb_softplusf(in[0]); }
EBB_INLINE void ebb_cell_softplus_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g * ebb_sigmoidf(in[0]);
}

/* x within [low, high], which get no gradient; a NaN stays one. */
EBB_INLINE float ebb_cell_clamp(const float *in) {
  return in[0] < in[1] ? in[1] : in[0] > in[2] ? in[2] : in[0];
}
EBB_INLINE void ebb_cell_clamp_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = in[0] < in[1] || in[0] > in[2] ? 0 : g;
  d[1] = d[2] = 0;
}

/* -(a - b)^2 */
EBB_INLINE float ebb_cell_negative_square(const float *in) { return -(in[0] - in[1]) * (in[0] - in[1]); }
EBB_INLINE void ebb_cell_negative_square_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = -2 * g * (in[0] - in[1]), d[1] = -d[0];
}

/* (target - h) / tau */
EBB_INLINE float ebb_cell_leak(const float *in) { return (in[0] - in[1]) / in[2]; }
EBB_INLINE void ebb_cell_leak_grad(const float *in, float out, float g, float *d) {
  d[0] = g / in[2], d[1] = -d[0], d[2] = -out * d[0];
}

/* (h + dt S / tau) / (1 + dt / tau), dt = elapsed scale: the semi-implicit step of dh/dt = (S - h) / tau.
   Operands h, S, tau, elapsed, scale. */
EBB_INLINE float ebb_cell_relax(const float *in) {
  const float dt = in[3] * in[4];
  return (in[0] * in[2] + dt * in[1]) / (in[2] + dt);
}
EBB_INLINE void ebb_cell_relax_grad(const float *in, float out, float g, float *d) {
  const float dt = in[3] * in[4], k = g / (in[2] + dt), ddt = k * (in[1] - out);
  d[0] = k * in[2], d[1] = k * dt, d[2] = k * (in[0] - out), d[3] = ddt * in[4], d[4] = ddt * in[3];
}

/* One fused sub-step of cm dv/dt = gleak (vleak - v) + N - D v over dt = elapsed scale:
     v' = (cm v + dt (gleak vleak + N)) / (cm + dt (gleak + D + eps)),
   which at dt = 0 is v. Operands v, N, D, cm, gleak, vleak, elapsed, scale, eps. The AAAI-21 code, where cm
   already is cm / dt, has elapsed = scale = 1. Source: Hasani et al. 2021, "Liquid Time-constant Networks",
   algorithm 1, on the conductance synapses of its appendix. */
EBB_INLINE float ebb_cell_ltc_fused(const float *in) {
  const float dt = in[6] * in[7];
  return (in[3] * in[0] + dt * (in[4] * in[5] + in[1])) / (in[3] + dt * (in[4] + in[2] + in[8]));
}
EBB_INLINE void ebb_cell_ltc_fused_grad(const float *in, float out, float g, float *d) {
  const float dt = in[6] * in[7], pull = in[4] + in[2] + in[8];
  const float gn = g / (in[3] + dt * pull), gd = -gn * out; /* of numerator and denominator */
  const float ddt = gn * (in[4] * in[5] + in[1]) + gd * pull;
  d[0] = gn * in[3], d[1] = gn * dt, d[2] = gd * dt, d[3] = gn * in[0] + gd;
  d[4] = dt * (gn * in[5] + gd), d[5] = dt * gn * in[4], d[6] = ddt * in[7], d[7] = ddt * in[6],
  d[8] = gd * dt;
}

/* (gleak (vleak - v) + N - D v) / cm. Operands v, N, D, cm, gleak, vleak. */
EBB_INLINE float ebb_cell_ltc_slope(const float *in) {
  return (in[4] * (in[5] - in[0]) + in[1] - in[2] * in[0]) / in[3];
}
EBB_INLINE void ebb_cell_ltc_slope_grad(const float *in, float out, float g, float *d) {
  const float k = g / in[3];
  d[0] = -k * (in[4] + in[2]), d[1] = k, d[2] = -k * in[0], d[3] = -k * out;
  d[4] = k * (in[5] - in[0]), d[5] = k * in[4];
}

/* (gleak + D) / cm, the reciprocal of the system's time constant. Operands D, cm, gleak. */
EBB_INLINE float ebb_cell_ltc_rate(const float *in) { return (in[2] + in[0]) / in[1]; }
EBB_INLINE void ebb_cell_ltc_rate_grad(const float *in, float out, float g, float *d) {
  d[0] = d[2] = g / in[1], d[1] = -d[0] * out;
}

/* One fused sub-step of dh/dt = -(1/tau + f) h + f A over dt = elapsed scale. Operands h, f, A, tau, elapsed,
   scale. Source: the same, equation 1 and algorithm 1. */
EBB_INLINE float ebb_cell_vector_fused(const float *in) {
  const float dt = in[4] * in[5];
  return (in[0] + dt * in[1] * in[2]) / (1 + dt * (1 / in[3] + in[1]));
}
EBB_INLINE void ebb_cell_vector_fused_grad(const float *in, float out, float g, float *d) {
  const float dt = in[4] * in[5], rate = 1 / in[3] + in[1];
  const float gn = g / (1 + dt * rate), gd = -gn * out, ddt = gn * in[1] * in[2] + gd * rate;
  d[0] = gn, d[1] = dt * (gn * in[2] + gd), d[2] = gn * dt * in[1], d[3] = -gd * dt / (in[3] * in[3]);
  d[4] = ddt * in[5], d[5] = ddt * in[4];
}

/* 1/tau + f. Operands tau, f. */
EBB_INLINE float ebb_cell_vector_rate(const float *in) { return 1 / in[0] + in[1]; }
EBB_INLINE void ebb_cell_vector_rate_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = -g / (in[0] * in[0]), d[1] = g;
}

/* sigmoid(elapsed a + b). Source, with the next three: Hasani et al. 2022, "Closed-form continuous-time
   neural networks". */
EBB_INLINE float ebb_cell_cfc_time(const float *in) { return ebb_sigmoidf(in[0] * in[1] + in[2]); }
EBB_INLINE void ebb_cell_cfc_time_grad(const float *in, float out, float g, float *d) {
  const float k = g * out * (1 - out);
  d[0] = k * in[1], d[1] = k * in[0], d[2] = k;
}

/* f1 (1 - gate) + gate f2 */
EBB_INLINE float ebb_cell_cfc_blend(const float *in) { return in[0] * (1 - in[2]) + in[2] * in[1]; }
EBB_INLINE void ebb_cell_cfc_blend_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g * (1 - in[2]), d[1] = g * in[2], d[2] = g * (in[1] - in[0]);
}

/* f1 + gate f2 */
EBB_INLINE float ebb_cell_cfc_add(const float *in) { return in[0] + in[2] * in[1]; }
EBB_INLINE void ebb_cell_cfc_add_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = g, d[1] = g * in[2], d[2] = g * in[1];
}

/* A - A e^(-elapsed (|w_tau| + |f|)) f. Operands elapsed, w_tau, f, A. */
EBB_INLINE float ebb_cell_cfc_pure(const float *in) {
  return in[3] - in[3] * ebb_expf(-in[0] * (fabsf(in[1]) + fabsf(in[2]))) * in[2];
}
EBB_INLINE float ebb_sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }
EBB_INLINE void ebb_cell_cfc_pure_grad(const float *in, float out, float g, float *d) {
  (void)out;
  const float rate = fabsf(in[1]) + fabsf(in[2]), decay = ebb_expf(-in[0] * rate);
  const float k = g * in[3] * decay * in[2]; /* of the exponent's negative */
  d[0] = k * rate, d[1] = k * in[0] * ebb_sign(in[1]);
  d[2] = k * in[0] * ebb_sign(in[2]) - g * in[3] * decay, d[3] = g * (1 - decay * in[2]);
}

/* c' = c sigmoid(forget + 1) + tanh(input) sigmoid(input gate). Operands input, input gate, forget, c.
   Source: the memory cell of ncps. */
EBB_INLINE float ebb_cell_lstm_cell(const float *in) {
  return in[3] * ebb_sigmoidf(in[2] + 1) + ebb_tanhf(in[0]) * ebb_sigmoidf(in[1]);
}
EBB_INLINE void ebb_cell_lstm_cell_grad(const float *in, float out, float g, float *d) {
  (void)out;
  const float a = ebb_tanhf(in[0]), i = ebb_sigmoidf(in[1]), f = ebb_sigmoidf(in[2] + 1);
  d[0] = g * i * (1 - a * a), d[1] = g * a * i * (1 - i), d[2] = g * in[3] * f * (1 - f), d[3] = g * f;
}

/* tanh(c') sigmoid(output gate). Operands c', output gate. */
EBB_INLINE float ebb_cell_lstm_out(const float *in) { return ebb_tanhf(in[0]) * ebb_sigmoidf(in[1]); }
EBB_INLINE void ebb_cell_lstm_out_grad(const float *in, float out, float g, float *d) {
  (void)out;
  const float a = ebb_tanhf(in[0]), o = ebb_sigmoidf(in[1]);
  d[0] = g * o * (1 - a * a), d[1] = g * a * o * (1 - o);
}

/* (1 - z) (g - h). Operands z, g, h. Source: De Brouwer et al. 2019, "GRU-ODE-Bayes", equation 5. */
EBB_INLINE float ebb_cell_gru_slope(const float *in) { return (1 - in[0]) * (in[1] - in[2]); }
EBB_INLINE void ebb_cell_gru_slope_grad(const float *in, float out, float g, float *d) {
  (void)out;
  d[0] = -g * (in[1] - in[2]), d[1] = g * (1 - in[0]), d[2] = -d[1];
}

/* ((1 - s) h + s q) e^(elapsed rate): storage and decay of a trace. Operands s, h, q, rate, elapsed; a rate
   of -1e30 forgets at once. Source: Mozer et al. 2017, "Discrete event, continuous time RNNs". */
EBB_INLINE float ebb_cell_trace(const float *in) {
  return ((1 - in[0]) * in[1] + in[0] * in[2]) * ebb_expf(in[3] * in[4]);
}
EBB_INLINE void ebb_cell_trace_grad(const float *in, float out, float g, float *d) {
  const float k = g * ebb_expf(in[3] * in[4]);
  d[0] = k * (in[2] - in[1]), d[1] = k * (1 - in[0]), d[2] = k * in[0];
  d[3] = g * out * in[4], d[4] = g * out * in[3];
}

/* One conductance synapse: s = sigmoid(sigma (v - mu)). It adds w s erev to the numerator N and w s to the
   denominator D. Backward, with gN = dL/dN and gD = dL/dD: dw = s (gN erev + gD), derev = w s gN, and with
   d = w s (1 - s) (gN erev + gD): dv = sigma d, dsigma = (v - mu) d, dmu = -sigma d. */
EBB_INLINE float ebb_cell_synapse(float v, float sigma, float mu) { return ebb_sigmoidf(sigma * (v - mu)); }

#endif
