/* Every status, every argument that must not be NULL, and the texts. Argument: the folder that tests/abi_c.rs filled:
 *   scan/  scan360/  truncated/  file.txt  library.so (not a plugin; where there is a C compiler for it)
 * Compiles as C99 and as C++. */
#include "check.h"

static int32_t stop(void *user, uint64_t done, uint64_t total) {
  (void)user, (void)done, (void)total;
  return 1;
}

static int32_t any_slice(void *user, uint64_t z, const wagiri_view *slice) {
  (void)user, (void)z, (void)slice;
  return 0;
}

#define RECON "normalise | recon.fbp center_px=30.25 pixel_um=100"

/* One natural cause for every status. */
static void statuses(const char *folder, const char *library) {
  wagiri_error *err = NULL;
  wagiri_context *ctx = NULL, *small = NULL, *none = NULL;
  wagiri_context_options options = ZERO;
  wagiri_scan *scan = NULL, *turn = NULL, *broken = NULL;
  wagiri_chain *chain = NULL;
  wagiri_plan plan = ZERO;
  char *good = in(folder, "scan"), *full = in(folder, "scan360"), *cut = in(folder, "truncated");
  char *file = in(folder, "file.txt"), *below = in(file, "out"), *missing = in(folder, "nobody");
  float *slice = floats(64 * 64);
  wagiri_view_mut out = view_mut(slice, 1, 64, 64);

  plan.struct_size = sizeof plan;
  options.struct_size = sizeof options;
  options.threads = 1;
  EXPECT(WAGIRI_OK, "", wagiri_context_new(&options, &ctx, &err));
  options.memory_bytes = 1000;
  EXPECT(WAGIRI_OK, "", wagiri_context_new(&options, &small, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_open(good, NULL, &scan, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_open(full, NULL, &turn, &err));

  EXPECT(WAGIRI_INVALID, "ring.sort: kernel_px: expected a whole number",
         wagiri_chain_parse(ctx, "normalise | ring.sort kernel_px=-1", &chain, &err));
  CHECK(chain == NULL);
  EXPECT(WAGIRI_NOT_FOUND, "did you mean 'ring.sort'", wagiri_chain_parse(ctx, "normalise | ring.sotr", &chain, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, RECON, &chain, &err));
  EXPECT(WAGIRI_INVALID, "expected", wagiri_chain_set(chain, "recon.fbp", "filter", "no such filter", &err));
  EXPECT(WAGIRI_NOT_FOUND, "unknown parameter", wagiri_chain_set(chain, "recon.fbp", "fitler", "ramp", &err));
  EXPECT(WAGIRI_NOT_FOUND, "nobody", wagiri_scan_open(missing, NULL, &broken, &err));
  CHECK(broken == NULL);
  EXPECT(WAGIRI_UNSUPPORTED, "360", wagiri_chain_preview(ctx, chain, turn, 1, NULL, NULL, out, &err));
  /* A truncated frame is found when the scan is opened or when the frame is read. */
  if (wagiri_scan_open(cut, NULL, &broken, NULL) == WAGIRI_OK)
    EXPECT(WAGIRI_FORMAT, "q0009.img", wagiri_chain_preview(ctx, chain, broken, 1, NULL, NULL, out, &err));
  else
    EXPECT(WAGIRI_FORMAT, "q0009.img", wagiri_scan_open(cut, NULL, &broken, &err));
  EXPECT(WAGIRI_IO, "file.txt", wagiri_chain_run(ctx, chain, scan, below, NULL, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_LIMIT, "memory", wagiri_chain_plan(small, chain, scan, NULL, NULL, NULL, &plan, &err));
  options.device = WAGIRI_DEVICE_GPU;
  EXPECT(WAGIRI_UNAVAILABLE, "device", wagiri_context_new(&options, &none, &err));
  CHECK(none == NULL);
  options.device = 99;
  EXPECT(WAGIRI_INVALID, "device", wagiri_context_new(&options, &none, &err));
  EXPECT(WAGIRI_CANCELLED, "cancelled", wagiri_chain_preview(ctx, chain, scan, 1, stop, NULL, out, &err));
  EXPECT(WAGIRI_PLUGIN, "file.txt", wagiri_plugin_load(ctx, file, &err));
  if (library != NULL) EXPECT(WAGIRI_PLUGIN, "library", wagiri_plugin_load(ctx, library, &err));
  EXPECT(WAGIRI_INTERNAL, "panicked: self test", wagiri_self_test_panic(&err));
  /* After all that the context still works. */
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, chain, scan, 1, NULL, NULL, out, &err));

  wagiri_chain_free(chain);
  wagiri_scan_free(scan), wagiri_scan_free(turn), wagiri_scan_free(broken);
  wagiri_context_free(ctx), wagiri_context_free(small);
  free(good), free(full), free(cut), free(file), free(below), free(missing), free(slice);
}

/* Wrong sizes, rows, frames, texts. */
static void arguments(wagiri_context *ctx, wagiri_scan *scan, wagiri_chain *chain) {
  wagiri_error *err = NULL;
  wagiri_run_options rows = ZERO;
  wagiri_scan_options views = ZERO;
  wagiri_scan_details info = ZERO;
  wagiri_geometry geometry = ZERO;
  wagiri_fbp_options fbp = ZERO;
  wagiri_stage stage = ZERO;
  wagiri_device device = ZERO;
  wagiri_scan *none = NULL;
  wagiri_chain *bad = NULL;
  double angles[4] = {0, 0.8, 1.6, 2.4};
  float *data = floats(64 * 64);
  wagiri_view sino = view(data, 1, 4, 16);
  wagiri_view_mut slice = view_mut(data + 64, 1, 16, 16), narrow = view_mut(data + 64, 1, 16, 15);
  const char latin1[] = {(char)0xE9, 0};

  info.struct_size = 8;
  EXPECT(WAGIRI_INVALID, "out: struct_size must be set to sizeof", wagiri_scan_info(scan, &info, &err));
  EXPECT(WAGIRI_INVALID, "text: must be UTF-8", wagiri_chain_parse(ctx, latin1, &bad, &err));
  EXPECT(WAGIRI_INVALID, "[1, rows, cols]",
         wagiri_scan_read_frame(scan, WAGIRI_FRAME_DARK, 0, 0, view_mut(data, 1, 3, 63), &err));
  EXPECT(WAGIRI_INVALID, "beyond the detector",
         wagiri_scan_read_frame(scan, WAGIRI_FRAME_DARK, 0, 1, view_mut(data, 1, 3, 64), &err));
  EXPECT(WAGIRI_INVALID, "beyond the detector",
         wagiri_scan_read_sinogram(ctx, scan, UINT64_MAX, view_mut(data, 1, 60, 64), NULL, NULL, &err));
  EXPECT(WAGIRI_NOT_FOUND, "frame",
         wagiri_scan_read_frame(scan, WAGIRI_FRAME_VIEW, 60, 0, view_mut(data, 1, 3, 64), &err));
  EXPECT(WAGIRI_INVALID, "WAGIRI_FRAME_", wagiri_scan_read_frame(scan, 9, 0, 0, view_mut(data, 1, 3, 64), &err));
  EXPECT(WAGIRI_INVALID, "[row, view, col]",
         wagiri_scan_read_sinogram(ctx, scan, 0, view_mut(data, 1, 59, 64), NULL, NULL, &err));
  EXPECT(WAGIRI_INVALID, "[1, slice_height, slice_width]",
         wagiri_chain_preview(ctx, chain, scan, 0, NULL, NULL, view_mut(data, 1, 64, 63), &err));
  EXPECT(WAGIRI_INVALID, "beyond the detector",
         wagiri_chain_preview(ctx, chain, scan, 3, NULL, NULL, view_mut(data, 1, 64, 64), &err));

  rows.struct_size = sizeof rows;
  rows.row_start = 2;
  EXPECT(WAGIRI_INVALID, "rows: the end",
         wagiri_chain_run_to(ctx, chain, scan, any_slice, NULL, &rows, NULL, NULL, NULL, &err));
  rows.row_end = 4;
  EXPECT(WAGIRI_INVALID, "rows",
         wagiri_chain_run_to(ctx, chain, scan, any_slice, NULL, &rows, NULL, NULL, NULL, &err));
  views.struct_size = sizeof views;
  views.view_start = 5;
  views.view_end = 5;
  EXPECT(WAGIRI_INVALID, "views: the end", wagiri_scan_open("x", &views, &none, &err));
  stage.struct_size = sizeof stage;
  EXPECT(WAGIRI_NOT_FOUND, "no such stage", wagiri_stage_info(ctx, 1000, &stage, &err));
  device.struct_size = sizeof device;
  EXPECT(WAGIRI_NOT_FOUND, "no such device", wagiri_device_info(ctx, 1000, &device, &err));

  geometry.struct_size = sizeof geometry;
  geometry.views = 3;
  geometry.angles_rad = angles;
  geometry.center_px = 7.5;
  geometry.pixel_um = 1;
  EXPECT(WAGIRI_INVALID, "as many angles",
         wagiri_reconstruct(ctx, &geometry, NULL, sino, NULL, NULL, slice, &err));
  geometry.views = 4;
  EXPECT(WAGIRI_INVALID, "[row, col, col]",
         wagiri_reconstruct(ctx, &geometry, NULL, sino, NULL, NULL, narrow, &err));
  geometry.center_px = 16;
  EXPECT(WAGIRI_INVALID, "axis",
         wagiri_reconstruct(ctx, &geometry, NULL, sino, NULL, NULL, slice, &err));
  geometry.center_px = 7.5;
  fbp.struct_size = sizeof fbp;
  fbp.filter = 4;
  EXPECT(WAGIRI_INVALID, "WAGIRI_FILTER_",
         wagiri_reconstruct(ctx, &geometry, &fbp, sino, NULL, NULL, slice, &err));
  data[5] = NAN;
  EXPECT(WAGIRI_INVALID, "", wagiri_remove_rings(ctx, view_mut(data, 1, 4, 16), 3, NULL, NULL, &err));
  EXPECT(WAGIRI_CANCELLED, "cancelled", wagiri_remove_rings(ctx, view_mut(data + 64, 1, 4, 16), 3, stop, NULL, &err));
  EXPECT(WAGIRI_FORMAT, "not a finite number",
         wagiri_normalise(ctx, sino, view(data + 64, 1, 1, 16), view(data + 64, 1, 1, 16), NULL, NULL, NULL,
                          view_mut(data + 128, 1, 4, 16), &err));
  EXPECT(WAGIRI_INVALID, "pixel_um: expected a size in um",
         wagiri_scan_from_arrays(view(data + 64, 4, 1, 16), view(data + 64, 1, 1, 16), view(data + 64, 1, 1, 16),
                                 angles, -1, &none, &err));
  free(data);
}

/* The argument `name` is NULL, the others are not: refused by name, with an error object and without one. */
#define REFUSED(name, function, ...)                                              \
  do {                                                                            \
    EXPECT(WAGIRI_INVALID, name, function(__VA_ARGS__, &err));                    \
    CHECK(function(__VA_ARGS__, NULL) == WAGIRI_INVALID);                         \
  } while (0)

static void nulls_of_handles(wagiri_context *ctx, wagiri_scan *scan) {
  wagiri_error *err = NULL;
  wagiri_scan *new_scan = NULL;
  uint32_t n = 0;
  double angles[2] = {0, 1};
  float data[64 * 4] = ZERO;
  wagiri_view v = view(data, 2, 2, 64), no_v = view(NULL, 2, 2, 64), one = view(data, 1, 2, 64);
  wagiri_view_mut m = view_mut(data, 1, 1, 64), no_m = view_mut(NULL, 1, 1, 64);
  wagiri_device device = ZERO;
  wagiri_stage stage = ZERO;
  wagiri_param param = ZERO;
  wagiri_scan_details info = ZERO;
  device.struct_size = sizeof device;
  stage.struct_size = sizeof stage;
  param.struct_size = sizeof param;
  info.struct_size = sizeof info;

  REFUSED("out: must", wagiri_context_new, NULL, NULL);
  REFUSED("ctx: must", wagiri_context_set_logger, NULL, NULL, NULL);
  REFUSED("ctx: must", wagiri_device_count, NULL, &n);
  REFUSED("count: must", wagiri_device_count, ctx, NULL);
  REFUSED("ctx: must", wagiri_device_info, NULL, 0, &device);
  REFUSED("out: must", wagiri_device_info, ctx, 0, NULL);
  REFUSED("ctx: must", wagiri_stage_count, NULL, &n);
  REFUSED("count: must", wagiri_stage_count, ctx, NULL);
  REFUSED("ctx: must", wagiri_stage_info, NULL, 0, &stage);
  REFUSED("out: must", wagiri_stage_info, ctx, 0, NULL);
  REFUSED("ctx: must", wagiri_stage_param, NULL, 0, 0, &param);
  REFUSED("out: must", wagiri_stage_param, ctx, 0, 0, NULL);
  REFUSED("ctx: must", wagiri_plugin_load, NULL, "x");
  REFUSED("path: must", wagiri_plugin_load, ctx, NULL);
  REFUSED("path: must", wagiri_scan_open, NULL, NULL, &new_scan);
  REFUSED("out: must", wagiri_scan_open, "x", NULL, NULL);
  REFUSED("views: data must", wagiri_scan_from_arrays, no_v, v, one, angles, 1, &new_scan);
  REFUSED("flats: data must", wagiri_scan_from_arrays, v, no_v, one, angles, 1, &new_scan);
  REFUSED("dark: data must", wagiri_scan_from_arrays, v, v, no_v, angles, 1, &new_scan);
  REFUSED("angles_rad: must", wagiri_scan_from_arrays, v, v, one, NULL, 1, &new_scan);
  REFUSED("out: must", wagiri_scan_from_arrays, v, v, one, angles, 1, NULL);
  REFUSED("scan: must", wagiri_scan_info, NULL, &info);
  REFUSED("out: must", wagiri_scan_info, scan, NULL);
  REFUSED("scan: must", wagiri_scan_read_frame, NULL, WAGIRI_FRAME_DARK, 0, 0, m);
  REFUSED("out: data must", wagiri_scan_read_frame, scan, WAGIRI_FRAME_DARK, 0, 0, no_m);
  REFUSED("ctx: must", wagiri_scan_read_sinogram, NULL, scan, 0, m, NULL, NULL);
  REFUSED("scan: must", wagiri_scan_read_sinogram, ctx, NULL, 0, m, NULL, NULL);
  REFUSED("out: data must", wagiri_scan_read_sinogram, ctx, scan, 0, no_m, NULL, NULL);
  REFUSED("rows: data must", wagiri_scan_from_rows, no_v, WAGIRI_PIXELS_VOLUME, NULL, 1, &new_scan);
  REFUSED("out: must", wagiri_scan_from_rows, v, WAGIRI_PIXELS_VOLUME, NULL, 1, NULL);
  REFUSED("path: must", wagiri_plugin_check, NULL, NULL, NULL);
  CHECK(new_scan == NULL);

  /* Nothing to free, nothing to tell. */
  wagiri_context_free(NULL);
  wagiri_scan_free(NULL);
  wagiri_chain_free(NULL);
  wagiri_error_free(NULL);
  CHECK(wagiri_error_status(NULL) == WAGIRI_OK && wagiri_error_message(NULL)[0] == 0);
  CHECK(wagiri_self_test_panic(NULL) == WAGIRI_INTERNAL);
}

static void nulls_of_work(wagiri_context *ctx, wagiri_scan *scan, wagiri_chain *chain) {
  wagiri_error *err = NULL;
  wagiri_chain *none = NULL;
  wagiri_scan *no_scan = NULL;
  wagiri_chain_details details = ZERO;
  uint64_t slices = 0;
  float data[64 * 2] = ZERO;
  wagiri_center center = ZERO;
  wagiri_view v = view(data, 1, 2, 64), no_v = view(NULL, 1, 2, 64);
  wagiri_view_mut m = view_mut(data, 1, 2, 64), no_m = view_mut(NULL, 1, 2, 64);
  wagiri_geometry geometry = ZERO;
  wagiri_plan plan = ZERO;
  geometry.struct_size = sizeof geometry;
  geometry.views = 2;
  geometry.pixel_um = 1;
  plan.struct_size = sizeof plan;
  details.struct_size = sizeof details;
  center.struct_size = sizeof center;

  REFUSED("ctx: must", wagiri_normalise, NULL, v, v, v, NULL, NULL, NULL, m);
  REFUSED("counts: data must", wagiri_normalise, ctx, no_v, v, v, NULL, NULL, NULL, m);
  REFUSED("flats: data must", wagiri_normalise, ctx, v, no_v, v, NULL, NULL, NULL, m);
  REFUSED("dark: data must", wagiri_normalise, ctx, v, v, no_v, NULL, NULL, NULL, m);
  REFUSED("out: data must", wagiri_normalise, ctx, v, v, v, NULL, NULL, NULL, no_m);
  REFUSED("ctx: must", wagiri_find_center, NULL, scan, NULL, NULL, NULL, &center);
  REFUSED("scan: must", wagiri_find_center, ctx, NULL, NULL, NULL, NULL, &center);
  REFUSED("out: must", wagiri_find_center, ctx, scan, NULL, NULL, NULL, NULL);
  REFUSED("ctx: must", wagiri_remove_rings, NULL, m, 5, NULL, NULL);
  REFUSED("sino: data must", wagiri_remove_rings, ctx, no_m, 5, NULL, NULL);
  REFUSED("ctx: must", wagiri_reconstruct, NULL, &geometry, NULL, v, NULL, NULL, m);
  REFUSED("geometry: must", wagiri_reconstruct, ctx, NULL, NULL, v, NULL, NULL, m);
  REFUSED("angles_rad must", wagiri_reconstruct, ctx, &geometry, NULL, v, NULL, NULL, m);
  REFUSED("sino: data must", wagiri_reconstruct, ctx, &geometry, NULL, no_v, NULL, NULL, m);
  REFUSED("out: data must", wagiri_reconstruct, ctx, &geometry, NULL, v, NULL, NULL, no_m);
  REFUSED("ctx: must", wagiri_chain_parse, NULL, RECON, &none);
  REFUSED("text: must", wagiri_chain_parse, ctx, NULL, &none);
  REFUSED("out: must", wagiri_chain_parse, ctx, RECON, NULL);
  REFUSED("chain: must", wagiri_chain_set, NULL, "recon.fbp", "filter", "ramp");
  REFUSED("stage: must", wagiri_chain_set, chain, NULL, "filter", "ramp");
  REFUSED("param: must", wagiri_chain_set, chain, "recon.fbp", NULL, "ramp");
  REFUSED("value: must", wagiri_chain_set, chain, "recon.fbp", "filter", NULL);
  REFUSED("chain: must", wagiri_chain_info, NULL, &details);
  REFUSED("out: must", wagiri_chain_info, chain, NULL);
  REFUSED("chain: must", wagiri_chain_open, NULL, "x", NULL, &no_scan);
  REFUSED("out: must", wagiri_chain_open, chain, "x", NULL, NULL);
  REFUSED("ctx: must", wagiri_chain_slices, NULL, chain, scan, &slices);
  REFUSED("chain: must", wagiri_chain_slices, ctx, NULL, scan, &slices);
  REFUSED("scan: must", wagiri_chain_slices, ctx, chain, NULL, &slices);
  REFUSED("slices: must", wagiri_chain_slices, ctx, chain, scan, NULL);
  REFUSED("ctx: must", wagiri_chain_plan, NULL, chain, scan, NULL, NULL, NULL, &plan);
  REFUSED("chain: must", wagiri_chain_plan, ctx, NULL, scan, NULL, NULL, NULL, &plan);
  REFUSED("scan: must", wagiri_chain_plan, ctx, chain, NULL, NULL, NULL, NULL, &plan);
  REFUSED("out: must", wagiri_chain_plan, ctx, chain, scan, NULL, NULL, NULL, NULL);
  REFUSED("ctx: must", wagiri_chain_preview, NULL, chain, scan, 0, NULL, NULL, m);
  REFUSED("chain: must", wagiri_chain_preview, ctx, NULL, scan, 0, NULL, NULL, m);
  REFUSED("scan: must", wagiri_chain_preview, ctx, chain, NULL, 0, NULL, NULL, m);
  REFUSED("out: data must", wagiri_chain_preview, ctx, chain, scan, 0, NULL, NULL, no_m);
  REFUSED("ctx: must", wagiri_chain_run, NULL, chain, scan, "x", NULL, NULL, NULL, NULL);
  REFUSED("chain: must", wagiri_chain_run, ctx, NULL, scan, "x", NULL, NULL, NULL, NULL);
  REFUSED("scan: must", wagiri_chain_run, ctx, chain, NULL, "x", NULL, NULL, NULL, NULL);
  REFUSED("out_dir: must", wagiri_chain_run, ctx, chain, scan, NULL, NULL, NULL, NULL, NULL);
  REFUSED("ctx: must", wagiri_chain_run_to, NULL, chain, scan, any_slice, NULL, NULL, NULL, NULL, NULL);
  REFUSED("chain: must", wagiri_chain_run_to, ctx, NULL, scan, any_slice, NULL, NULL, NULL, NULL, NULL);
  REFUSED("scan: must", wagiri_chain_run_to, ctx, chain, NULL, any_slice, NULL, NULL, NULL, NULL, NULL);
  REFUSED("slice: must", wagiri_chain_run_to, ctx, chain, scan, NULL, NULL, NULL, NULL, NULL, NULL);
}

int main(int argc, char **argv) {
  wagiri_error *err = NULL;
  wagiri_context *ctx = NULL;
  wagiri_scan *scan = NULL;
  wagiri_chain *chain = NULL;
  char *path;
  if (argc < 2) return 2;
  statuses(argv[1], argc > 2 ? argv[2] : NULL);
  path = in(argv[1], "scan");
  /* Options may be NULL. */
  EXPECT(WAGIRI_OK, "", wagiri_context_new(NULL, &ctx, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_open(path, NULL, &scan, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, RECON, &chain, &err));
  arguments(ctx, scan, chain);
  nulls_of_handles(ctx, scan);
  nulls_of_work(ctx, scan, chain);
  wagiri_chain_free(chain);
  wagiri_scan_free(scan);
  wagiri_context_free(ctx);
  free(path);
  return finish("errors");
}
