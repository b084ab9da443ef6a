/* The smallest wagiri plugin in C: multiplies a volume by a number. */
#include "wagiri_plugin.h"

#include <stdio.h>
#include <stdlib.h>

static void *gain_create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                         size_t cap) {
  float *factor = malloc(sizeof *factor);
  (void)host, (void)setup;
  if (!factor) {
    snprintf(msg, cap, "out of memory");
    return NULL;
  }
  *factor = (float)values[0].number; /* checked and defaulted by wagiri, in the order of gain_params */
  return factor;
}

static int32_t gain_process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                            char *msg, size_t cap) {
  const float factor = *(const float *)worker; /* no worker_new below: this is what gain_create returned */
  const uint64_t n = out->rows * out->dims[0] * out->dims[1];
  (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < n; i++) out->data[i] = factor * in->data[i];
  return WAGIRI_PLUGIN_OK;
}

static const wagiri_param_desc factor_param = {
    .struct_size = sizeof factor_param,
    .kind = WAGIRI_PLUGIN_FLOAT,
    .name = "factor",
    .unit = "",
    .help = "What each voxel is multiplied by",
    .default_text = "1.0",
    .min = -1e6,
    .max = 1e6,
};
static const wagiri_param_desc *const gain_params[] = {&factor_param};

static const wagiri_stage_desc gain = {
    .struct_size = sizeof gain,
    .input = WAGIRI_PLUGIN_VOLUME,
    .output = WAGIRI_PLUGIN_VOLUME,
    .threading = WAGIRI_PLUGIN_PARALLEL,
    .id = "example.gain",
    .summary = "Multiplies each voxel by a number",
    .params = gain_params,
    .param_count = 1,
    .create = gain_create,
    .process = gain_process,
    .destroy = free,
};
static const wagiri_stage_desc *const stages[] = {&gain};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    .struct_size = sizeof(wagiri_plugin_entry),
    .abi = WAGIRI_PLUGIN_ABI,
    .id = "org.example.gain",
    .version = "0.1.0",
    .vendor = "The wagiri authors",
    .stages = stages,
    .stage_count = 1,
};
