/* Runs a chain file, as `wagiri run CHAIN DATA OUT --plugin PLUGIN` does. Arguments: CHAIN PLUGIN DATA OUT SLAB_ROWS (0 is
 * automatic). Then looks at what the chain made in other ways: from files, from memory, by the word the chain starts with.
 * Compiles as C99 and as C++. */
#include "check.h"

static char *read_text(const char *path) {
  FILE *f = fopen(path, "rb");
  char *text = (char *)calloc(1, 65536);
  if (f == NULL || text == NULL || fread(text, 1, 65535, f) == 0) exit(2);
  fclose(f);
  return text;
}

struct volume {
  uint64_t slices;
  float *voxels;
};

static int32_t keep(void *user, uint64_t z, const wagiri_view *slice) {
  struct volume *volume = (struct volume *)user;
  uint64_t y, x, height = slice->shape[1], width = slice->shape[2];
  CHECK(z == volume->slices);
  for (y = 0; y < height; y++)
    for (x = 0; x < width; x++)
      volume->voxels[(z * height + y) * width + x] =
          slice->data[(int64_t)y * slice->stride[1] + (int64_t)x * slice->stride[2]];
  volume->slices++;
  return 0;
}

/* What a chain says; line and file read back as the same chain. */
static void describe(wagiri_context *ctx, wagiri_chain *chain) {
  wagiri_error *err = NULL;
  wagiri_chain *again = NULL;
  wagiri_chain_details info = ZERO, same = ZERO;
  info.struct_size = same.struct_size = sizeof info;
  EXPECT(WAGIRI_OK, "", wagiri_chain_info(chain, &info, &err));
  CHECK(info.input == WAGIRI_PIXELS_COUNTS && info.output == WAGIRI_PIXELS_VOLUME && info.stage_count == 7);
  CHECK(info.path == NULL && info.out_dir == NULL);
  CHECK(strstr(info.line, "| example.gain factor=0.5 |") != NULL && strstr(info.toml, "[[stage]]") != NULL);
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, info.toml, &again, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_info(again, &same, &err));
  CHECK(strcmp(same.line, info.line) == 0);
  EXPECT(WAGIRI_OK, "", wagiri_chain_set(again, "write.tiff", "dir", "some folder", &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_set(again, "raw", "path", "/data", &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_info(again, &same, &err));
  CHECK(strcmp(same.out_dir, "some folder") == 0 && strcmp(same.path, "/data") == 0);
  wagiri_chain_free(again);
}

/* The end of a chain on a volume in memory and on its files gives what the whole chain gives. */
static void in_two_parts(wagiri_context *ctx, wagiri_scan *raw, const char *folder) {
  wagiri_error *err = NULL;
  wagiri_chain *first = NULL, *second = NULL, *whole = NULL, *again = NULL;
  wagiri_scan *memory = NULL, *files = NULL, *none = NULL, *projected = NULL;
  wagiri_scan_details info = ZERO;
  wagiri_scan_options options = ZERO;
  struct volume volume = ZERO, sinograms = ZERO;
  float *once = floats(64 * 64), *twice = floats(64 * 64), *band = floats(60 * 64);
  double angles[60];
  char *out = in(folder, "first part");
  uint64_t slices = 0;
  int i;
  volume.voxels = floats(3 * 64 * 64);
  sinograms.voxels = floats(3 * 60 * 64);
  for (i = 0; i < 60; i++) angles[i] = 3.14159265358979323846 * i / 60;

  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "raw | normalise | recon.fbp center_px=30.25 pixel_um=100", &first, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "volume | filter.median depth_px=3 | example.gain", &second, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx,
                            "normalise | recon.fbp center_px=30.25 pixel_um=100 | filter.median depth_px=3 | example.gain",
                            &whole, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_run_to(ctx, first, raw, keep, &volume, NULL, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_run(ctx, first, raw, out, NULL, NULL, NULL, NULL, &err));
  CHECK(volume.slices == 3);
  EXPECT(WAGIRI_OK, "",
         wagiri_scan_from_rows(view(volume.voxels, 3, 64, 64), WAGIRI_PIXELS_VOLUME, NULL, 100, &memory, &err));
  memset(volume.voxels, 0, 64 * 64 * sizeof(float));
  EXPECT(WAGIRI_OK, "", wagiri_chain_open(second, out, NULL, &files, &err));
  info.struct_size = sizeof info;
  EXPECT(WAGIRI_OK, "", wagiri_scan_info(files, &info, &err));
  CHECK(info.pixels == WAGIRI_PIXELS_VOLUME && info.rows == 3 && info.views == 64 && info.cols == 64);
  CHECK(info.pixel_um == 100 && info.covered_deg == 0 && strcmp(info.format, "slices") == 0);
  EXPECT(WAGIRI_OK, "", wagiri_chain_slices(ctx, second, files, &slices, &err));
  CHECK(slices == 3);
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, whole, raw, 1, NULL, NULL, view_mut(once, 1, 64, 64), &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, second, memory, 1, NULL, NULL, view_mut(twice, 1, 64, 64), &err));
  CHECK(memcmp(once, twice, 64 * 64 * sizeof(float)) == 0);
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, second, files, 1, NULL, NULL, view_mut(twice, 1, 64, 64), &err));
  CHECK(memcmp(once, twice, 64 * 64 * sizeof(float)) == 0);

  /* Sinograms likewise. */
  wagiri_chain_free(first);
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "normalise", &first, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_run_to(ctx, first, raw, keep, &sinograms, NULL, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_from_rows(view(sinograms.voxels, 3, 60, 64), WAGIRI_PIXELS_SINOGRAM, angles, 100,
                                              &projected, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_sinogram(ctx, projected, 1, view_mut(band, 1, 60, 64), NULL, NULL, &err));
  CHECK(memcmp(band, sinograms.voxels + 60 * 64, 60 * 64 * sizeof(float)) == 0);
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx,
                            "sinograms | recon.fbp center_px=30.25 | filter.median depth_px=3 | example.gain", &again, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, again, projected, 1, NULL, NULL, view_mut(twice, 1, 64, 64), &err));
  CHECK(memcmp(once, twice, 64 * 64 * sizeof(float)) == 0);

  /* What does not fit is told. */
  EXPECT(WAGIRI_INVALID, "takes a volume, but the data are counts",
         wagiri_chain_preview(ctx, second, raw, 1, NULL, NULL, view_mut(twice, 1, 64, 64), &err));
  EXPECT(WAGIRI_INVALID, "no data given: expected volume path=", wagiri_chain_open(second, NULL, NULL, &none, &err));
  options.struct_size = sizeof options;
  options.dark = "dark.tif";
  EXPECT(WAGIRI_NOT_FOUND, "dark", wagiri_chain_open(second, out, &options, &none, &err));
  EXPECT(WAGIRI_INVALID, "WAGIRI_PIXELS_SINOGRAM or",
         wagiri_scan_from_rows(view(once, 1, 64, 64), WAGIRI_PIXELS_COUNTS, NULL, 0, &none, &err));
  EXPECT(WAGIRI_INVALID, "angles_rad: must not be NULL",
         wagiri_scan_from_rows(view(once, 1, 64, 64), WAGIRI_PIXELS_SINOGRAM, NULL, 0, &none, &err));
  EXPECT(WAGIRI_UNSUPPORTED, "no sinograms",
         wagiri_scan_read_sinogram(ctx, memory, 0, view_mut(once, 1, 64, 64), NULL, NULL, &err));
  CHECK(none == NULL);

  wagiri_chain_free(first), wagiri_chain_free(second), wagiri_chain_free(whole), wagiri_chain_free(again);
  wagiri_scan_free(memory), wagiri_scan_free(files), wagiri_scan_free(projected);
  free(once), free(twice), free(band), free(volume.voxels), free(sinograms.voxels), free(out);
}

static void on_finding(void *user, int32_t good, const char *place, const char *text) {
  int *findings = (int *)user;
  CHECK(good == 1 && place[0] != 0 && text[0] != 0);
  (*findings)++;
}

int main(int argc, char **argv) {
  wagiri_error *err = NULL;
  wagiri_context *ctx = NULL;
  wagiri_chain *chain = NULL;
  wagiri_scan *scan = NULL;
  wagiri_run_options options = ZERO;
  wagiri_plan plan = ZERO;
  wagiri_summary summary = ZERO;
  uint64_t slices = 0;
  int findings = 0;
  char *text;
  if (argc < 6) return 2;
  text = read_text(argv[1]);
  options.struct_size = sizeof options;
  options.slab_rows = (uint64_t)atoi(argv[5]);
  plan.struct_size = sizeof plan;
  summary.struct_size = sizeof summary;

  EXPECT(WAGIRI_OK, "", wagiri_context_new(NULL, &ctx, &err));
  EXPECT(WAGIRI_NOT_FOUND, "example.gain", wagiri_chain_parse(ctx, text, &chain, &err));
  EXPECT(WAGIRI_OK, "", wagiri_plugin_check(argv[2], on_finding, &findings, &err));
  CHECK(findings > 3);
  EXPECT(WAGIRI_PLUGIN, "1 of 1 checks failed", wagiri_plugin_check(argv[1], NULL, NULL, &err));
  EXPECT(WAGIRI_OK, "", wagiri_plugin_load(ctx, argv[2], &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, text, &chain, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_open(chain, argv[3], NULL, &scan, &err));
  describe(ctx, chain);
  EXPECT(WAGIRI_OK, "", wagiri_chain_slices(ctx, chain, scan, &slices, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_plan(ctx, chain, scan, &options, NULL, NULL, &plan, &err));
  CHECK(slices == 3 && plan.row_end == 3 && plan.compute_s > 0 && plan.halo_below == 1 && plan.halo_above == 1);
  EXPECT(WAGIRI_OK, "", wagiri_chain_run(ctx, chain, scan, argv[4], &options, NULL, NULL, &summary, &err));
  CHECK(summary.slices == 3);
  if (options.slab_rows == 0) in_two_parts(ctx, scan, argv[4]);

  wagiri_chain_free(chain);
  wagiri_scan_free(scan);
  wagiri_context_free(ctx);
  free(text);
  return finish("chain");
}
