/* Prints the layout of every struct and the value of every constant of the plugin interface; the Rust mirror must say the same. */
#include "wagiri_plugin.h"

#include <stdio.h>

#define SIZE(s) printf(#s " %zu\n", sizeof(s))
#define FIELD(s, f) printf(#s "." #f " %zu\n", offsetof(s, f))

#define VALUE(c) printf(#c " %ld\n", (long)WAGIRI_PLUGIN_##c)

int main(void) {
  SIZE(wagiri_param_desc);
  FIELD(wagiri_param_desc, struct_size);
  FIELD(wagiri_param_desc, kind);
  FIELD(wagiri_param_desc, name);
  FIELD(wagiri_param_desc, unit);
  FIELD(wagiri_param_desc, help);
  FIELD(wagiri_param_desc, default_text);
  FIELD(wagiri_param_desc, min);
  FIELD(wagiri_param_desc, max);
  FIELD(wagiri_param_desc, choices);
  FIELD(wagiri_param_desc, choice_count);
  FIELD(wagiri_param_desc, allow_auto);
  SIZE(wagiri_value);
  FIELD(wagiri_value, kind);
  FIELD(wagiri_value, reserved);
  FIELD(wagiri_value, integer);
  FIELD(wagiri_value, number);
  FIELD(wagiri_value, text);
  SIZE(wagiri_setup);
  FIELD(wagiri_setup, struct_size);
  FIELD(wagiri_setup, reserved);
  FIELD(wagiri_setup, views);
  FIELD(wagiri_setup, rows);
  FIELD(wagiri_setup, cols);
  FIELD(wagiri_setup, flats);
  FIELD(wagiri_setup, angles_rad);
  FIELD(wagiri_setup, center_px);
  FIELD(wagiri_setup, center_px_per_row);
  FIELD(wagiri_setup, pixel_um);
  SIZE(wagiri_slab_shape);
  FIELD(wagiri_slab_shape, struct_size);
  FIELD(wagiri_slab_shape, domain);
  FIELD(wagiri_slab_shape, rows);
  FIELD(wagiri_slab_shape, dims);
  SIZE(wagiri_stage_plan);
  FIELD(wagiri_stage_plan, struct_size);
  FIELD(wagiri_stage_plan, halo_below);
  FIELD(wagiri_stage_plan, halo_above);
  FIELD(wagiri_stage_plan, reserved);
  FIELD(wagiri_stage_plan, dims);
  FIELD(wagiri_stage_plan, scratch_bytes);
  FIELD(wagiri_stage_plan, cost_per_row);
  SIZE(wagiri_slab);
  FIELD(wagiri_slab, struct_size);
  FIELD(wagiri_slab, domain);
  FIELD(wagiri_slab, rows);
  FIELD(wagiri_slab, dims);
  FIELD(wagiri_slab, first_row);
  FIELD(wagiri_slab, halo_below);
  FIELD(wagiri_slab, halo_above);
  FIELD(wagiri_slab, data);
  SIZE(wagiri_slab_out);
  FIELD(wagiri_slab_out, struct_size);
  FIELD(wagiri_slab_out, domain);
  FIELD(wagiri_slab_out, rows);
  FIELD(wagiri_slab_out, dims);
  FIELD(wagiri_slab_out, data);
  SIZE(wagiri_host);
  FIELD(wagiri_host, struct_size);
  FIELD(wagiri_host, abi);
  FIELD(wagiri_host, ctx);
  FIELD(wagiri_host, log);
  FIELD(wagiri_host, cancelled);
  FIELD(wagiri_host, scratch);
  FIELD(wagiri_host, parallel_for);
  SIZE(wagiri_stage_desc);
  FIELD(wagiri_stage_desc, struct_size);
  FIELD(wagiri_stage_desc, input);
  FIELD(wagiri_stage_desc, output);
  FIELD(wagiri_stage_desc, threading);
  FIELD(wagiri_stage_desc, id);
  FIELD(wagiri_stage_desc, summary);
  FIELD(wagiri_stage_desc, params);
  FIELD(wagiri_stage_desc, param_count);
  FIELD(wagiri_stage_desc, reserved);
  FIELD(wagiri_stage_desc, create);
  FIELD(wagiri_stage_desc, plan);
  FIELD(wagiri_stage_desc, worker_new);
  FIELD(wagiri_stage_desc, process);
  FIELD(wagiri_stage_desc, worker_free);
  FIELD(wagiri_stage_desc, destroy);
  FIELD(wagiri_stage_desc, survey);
  FIELD(wagiri_stage_desc, survey_done);
  SIZE(wagiri_plugin_entry);
  FIELD(wagiri_plugin_entry, struct_size);
  FIELD(wagiri_plugin_entry, abi);
  FIELD(wagiri_plugin_entry, id);
  FIELD(wagiri_plugin_entry, version);
  FIELD(wagiri_plugin_entry, vendor);
  FIELD(wagiri_plugin_entry, stages);
  FIELD(wagiri_plugin_entry, stage_count);
  FIELD(wagiri_plugin_entry, reserved);
  VALUE(ABI);
  VALUE(OK);
  VALUE(FAILED);
  VALUE(CANCELLED);
  VALUE(COUNTS);
  VALUE(SINOGRAM);
  VALUE(VOLUME);
  VALUE(PARALLEL);
  VALUE(SERIAL);
  VALUE(AUTO);
  VALUE(INT);
  VALUE(FLOAT);
  VALUE(BOOL);
  VALUE(CHOICE);
  VALUE(TEXT);
  VALUE(LOG_ERROR);
  VALUE(LOG_WARN);
  VALUE(LOG_INFO);
  VALUE(LOG_DEBUG);
  return 0;
}
