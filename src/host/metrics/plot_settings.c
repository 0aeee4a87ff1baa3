#include "plot_settings.h"

void ebb_plot_settings(FILE *script, bool svg) {
  const char *format = "enhanced font 'sans,12' background '#FFFFFF'";
  if (svg)
    fprintf(script, "set terminal svg size 1400,600 %s\n", format);
  else
    fprintf(script,
            "if (strstrt(GPVAL_TERMINALS, ' pngcairo ')) {\n  set terminal pngcairo size 1400,600 %s\n"
            "} else {\n  set terminal png truecolor size 1400,600 %s\n}\n",
            format, format);
  fputs("set encoding utf8\n"
        "set border 3 lc rgb '#555555'\nset tics nomirror textcolor rgb '#333333'\n"
        "set grid lc rgb '#E4E4E4' lt 1 lw 1\nset datafile missing 'NaN'\n"
        "set key below center horizontal Left reverse noenhanced samplen 2 spacing 1.15 height 0.5\n",
        script);
}
