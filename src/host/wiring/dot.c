/* A wiring as a graphviz graph. Layers stand side by side in the order of signals: one with synapses among
   its own neurons as a ring, whose chords cross no neuron, others as columns. */
#include <math.h>

#include "host/wiring/wiring_internal.h"

#define TURN       6.283185307179586
#define INK        "#333333"
#define EXCITATORY "#2166ac"
#define INHIBITORY "#d6451f"
#define SENSOR     "#f0f0f0"

static const char *const fills[] = {
    [EBB_MOTOR] = "#b8e3b2", [EBB_COMMAND] = "#fdcf9c", [EBB_INTER] = "#bcd7ee"};

/* Inches. */
typedef struct Scale {
  double pitch;  /* between the neurons of the tallest column */
  double height; /* of that column */
  double gap;    /* between layers */
  bool labels;
} Scale;

enum { COMFORTABLE = 24, LEAST_TALL = 4 };

static Scale scale_of(int tall) {
  const double pitch = tall <= COMFORTABLE ? 0.5 : 0.5 * COMFORTABLE / tall;
  return (Scale){.pitch = pitch, .height = pitch * (tall - 1), .gap = 1.8, .labels = pitch > 0.22};
}

/* Short columns are stretched a little, so that lines meet at wider angles. */
static double pitch_of(int n, const Scale *scale) {
  const double stretched = n > 1 ? 0.7 * scale->height / (n - 1) : scale->pitch;
  return fmin(fmax(stretched, scale->pitch), 1.8 * scale->pitch);
}

static bool is_ring(const EbbWiring *wiring, int layer) {
  for (int source = 0; source < wiring->units; source++) {
    if (wiring->layer[source] != layer) continue;
    for (int target = 0; target < wiring->units; target++)
      if (wiring->layer[target] == layer && *wiring_synapse(wiring, source, target)) return true;
  }
  return false;
}

static int size_of(const EbbWiring *wiring, int layer) {
  int n = 0;
  for (int unit = 0; unit < wiring->units; unit++) n += wiring->layer[unit] == layer;
  return n;
}

/* Half axes of a ring. */
typedef struct Ring {
  double wide, high;
} Ring;

static Ring ring_of(const EbbWiring *wiring, int layer, int n, const Scale *scale) {
  if (n < 2 || !is_ring(wiring, layer)) return (Ring){0, 0};
  const double circle = fmax(scale->pitch * n / TURN, scale->pitch),
               high = fmax(circle, 0.32 * scale->height);
  return (Ring){.wide = fmax(circle, 0.6 * high), .high = high};
}

static void place(FILE *out, double x, double y) { fprintf(out, "pos=\"%.3f,%.3f!\"", x, y); }

static void label(FILE *out, const Scale *scale, const char *prefix, int id) {
  if (scale->labels)
    fprintf(out, " label=\"%s%d\"", prefix, id);
  else
    (void)fputs(" label=\"\"", out);
}

static void draw_sensors(FILE *out, const EbbWiring *wiring, const Scale *scale) {
  fprintf(out, "  node [shape=square fillcolor=\"%s\"]\n", SENSOR);
  const double pitch = pitch_of(wiring->inputs, scale);
  for (int i = 0; i < wiring->inputs; i++) {
    fprintf(out, "  sensor%d [", i);
    place(out, 0, pitch * ((wiring->inputs - 1) / 2.0 - i));
    label(out, scale, "s", i);
    (void)fputs("]\n", out);
  }
  (void)fputs("  node [shape=circle]\n", out);
}

/* Draws the neurons of a layer whose left edge is `left`; returns its right edge. */
static double draw_layer(FILE *out, const EbbWiring *wiring, int layer, double left, const Scale *scale) {
  const int n = size_of(wiring, layer);
  const Ring ring = ring_of(wiring, layer, n, scale);
  const double pitch = pitch_of(n, scale);
  int i = 0;
  for (int unit = 0; unit < wiring->units; unit++) {
    if (wiring->layer[unit] != layer) continue;
    const double turn = TURN * (i + 0.5) / n;
    fprintf(out, "  n%d [fillcolor=\"%s\" ", unit, fills[wiring->type[unit]]);
    if (ring.wide > 0)
      place(out, left + ring.wide * (1 + sin(turn)), ring.high * cos(turn));
    else
      place(out, left, pitch * ((n - 1) / 2.0 - i));
    label(out, scale, "", unit);
    (void)fputs("]\n", out);
    i++;
  }
  return left + 2 * ring.wide;
}

static void draw_synapses(FILE *out, const int8_t *synapse, int sources, int units, const char *name,
                          int sign) {
  for (int64_t source = 0; source < sources; source++)
    for (int target = 0; target < units; target++)
      if (synapse[source * units + target] == sign)
        fprintf(out, "  %s%d -> n%d\n", name, (int)source, target);
}

static void draw_sign(FILE *out, const EbbWiring *wiring, int sign, const char *colour, const char *alpha,
                      const char *head) {
  fprintf(out, "  edge [color=\"%s%s\" arrowhead=%s]\n", colour, alpha, head);
  draw_synapses(out, wiring->sensory, wiring->inputs, wiring->units, "sensor", sign);
  draw_synapses(out, wiring->adjacency, wiring->units, wiring->units, "n", sign);
}

static void legend_neurons(FILE *out, const EbbWiring *wiring) {
  int n[] = {[EBB_MOTOR] = 0, [EBB_COMMAND] = 0, [EBB_INTER] = 0};
  for (int unit = 0; unit < wiring->units; unit++) n[wiring->type[unit]]++;
  fprintf(out, "<td bgcolor=\"%s\">%d sensor%s</td>", SENSOR, wiring->inputs, wiring->inputs > 1 ? "s" : "");
  for (int type = EBB_INTER; type >= EBB_MOTOR; type--)
    if (n[type])
      fprintf(out, "<td bgcolor=\"%s\">%d %s</td>", fills[type], n[type], ebb_neuron_name((EbbNeuron)type));
}

static void draw_legend(FILE *out, const EbbWiring *wiring) {
  (void)fputs("  label=<<table border=\"0\" cellborder=\"0\" cellspacing=\"6\" cellpadding=\"5\"><tr>", out);
  legend_neurons(out, wiring);
  fprintf(out,
          "<td><font color=\"%s\">\xe2\x86\x92 excitatory</font></td><td><font color=\"%s\">\xe2\x8a\xa3 "
          "inhibitory</font></td><td>%lld synapses, %lld from sensors</td></tr></table>>\n",
          EXCITATORY, INHIBITORY, (long long)ebb_wiring_synapses(wiring),
          (long long)ebb_wiring_sensory_synapses(wiring));
}

/* Lines of many synapses are thin and translucent. */
static const char *alpha_of(const EbbWiring *wiring) {
  const int64_t lines = ebb_wiring_synapses(wiring) + ebb_wiring_sensory_synapses(wiring);
  if (lines < 200) return "d0";
  return lines < 2000 ? "80" : "40";
}

/* Neurons above one another in the tallest column; a third of a ring counts as one. */
static int tallest(const EbbWiring *wiring) {
  int tall = wiring->inputs > LEAST_TALL ? wiring->inputs : LEAST_TALL;
  for (int layer = 0; layer < wiring->layers; layer++) {
    const int n = size_of(wiring, layer) / (is_ring(wiring, layer) ? 3 : 1);
    tall = n > tall ? n : tall;
  }
  return tall;
}

void wiring_dot(FILE *out, const EbbWiring *wiring) {
  const Scale scale = scale_of(tallest(wiring));
  const double node = scale.pitch * 0.72;
  fprintf(out,
          "digraph wiring {\n"
          "  layout=neato splines=line outputorder=edgesfirst bgcolor=white pad=0.2 dpi=110 labelloc=b\n"
          "  fontname=\"Helvetica\" fontsize=12 fontcolor=\"%s\"\n"
          "  node [style=filled fixedsize=true width=%.3f height=%.3f color=\"%s\" penwidth=%.2f "
          "fontname=\"Helvetica\" fontsize=%.1f fontcolor=\"%s\"]\n"
          "  edge [arrowsize=%.2f penwidth=%.2f]\n",
          INK, node, node, INK, fmin(0.8, node * 3), node * 30, INK, node * 1.4, node * 2.6);
  draw_legend(out, wiring);
  draw_sensors(out, wiring, &scale);
  double edge = 0;
  for (int layer = 0; layer < wiring->layers; layer++)
    edge = draw_layer(out, wiring, layer, edge + scale.gap, &scale);
  draw_sign(out, wiring, 1, EXCITATORY, alpha_of(wiring), "normal");
  draw_sign(out, wiring, -1, INHIBITORY, alpha_of(wiring), "tee");
  (void)fputs("}\n", out);
}
