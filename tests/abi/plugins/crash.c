/* A stage that crashes in the function that CRASH_IN names, and one that does not. */
#include "wagiri_plugin.h"

static void crash(const char *where, const char *here) {
  if (where[0] == here[0]) *(volatile int *)8 = 1;
}
#define MAY_CRASH(here) crash(CRASH_IN, here)

static void *create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                    size_t cap) {
  (void)host, (void)setup, (void)values, (void)msg, (void)cap;
  MAY_CRASH("create");
  return (void *)&create;
}
static int32_t copy(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out, char *msg,
                    size_t cap) {
  (void)worker, (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < out->rows * out->dims[0] * out->dims[1]; i++) out->data[i] = in->data[i];
  return WAGIRI_PLUGIN_OK;
}
static int32_t process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                       char *msg, size_t cap) {
  MAY_CRASH("process");
  return copy(worker, host, in, out, msg, cap);
}
static void *good(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                  size_t cap) {
  (void)host, (void)setup, (void)values, (void)msg, (void)cap;
  return (void *)&good;
}

static const wagiri_stage_desc fine = {
    .struct_size = sizeof fine,
    .input = WAGIRI_PLUGIN_SINOGRAM,
    .output = WAGIRI_PLUGIN_SINOGRAM,
    .id = "test.fine",
    .summary = "Does nothing",
    .create = good,
    .process = copy,
};
static const wagiri_stage_desc broken = {
    .struct_size = sizeof broken,
    .input = WAGIRI_PLUGIN_SINOGRAM,
    .output = WAGIRI_PLUGIN_SINOGRAM,
    .id = "test.crash",
    .summary = "Crashes",
    .create = create,
    .process = process,
};
static const wagiri_stage_desc *const stages[] = {&fine, &broken};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    .struct_size = sizeof(wagiri_plugin_entry),
    .abi = WAGIRI_PLUGIN_ABI,
    .id = "org.example.crash",
    .version = "1.0",
    .vendor = "The wagiri authors",
    .stages = stages,
    .stage_count = 2,
};
