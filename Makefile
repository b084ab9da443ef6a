# wagiri: `make help` lists the targets. Missing tools are installed first, by .ci/setup.sh. Everything that is built or
# fetched stays in this folder (target/, java/target/, fiji-plugin/target/, out/) or in Cargo's own cache.

SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo demo-denoise test bench jar install clean

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
SYSTEM := $(shell uname -s)
LIB := $(if $(filter Linux,$(SYSTEM)),libwagiri.so,$(if $(filter Darwin,$(SYSTEM)),libwagiri.dylib,wagiri.dll))
JAR := fiji-plugin/target/Wagiri_-$(VERSION).jar
SCREEN := $(if $(filter Linux,$(SYSTEM)),xvfb-run -a -s "-screen 0 1280x1024x24")
RUN := . .ci/env.sh &&
MVN := mvn -B -ntp "-Dmaven.repo.local=$(CURDIR)/target/m2"
title = @printf '\n== %s ==\n' "$(1)"

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib

export CARGO_TARGET_DIR := $(CURDIR)/target

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## install the tools that are missing
	@.ci/setup.sh

test: setup ## everything: format, lints, Rust, C, Java, ImageJ
	$(call title,Format)
	$(RUN) cargo fmt --all --check
	$(call title,Lints)
	$(RUN) cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call title,Rust and C tests)
	$(RUN) cargo build --workspace --lib --bins --tests --locked
	$(RUN) cargo test --workspace --locked
	$(call title,Java and ImageJ tests)
	$(RUN) $(SCREEN) $(MVN) "-Dwagiri.native.path=$(CURDIR)/target/debug/$(LIB)" verify
	$(call title,All tests passed)

jar: setup ## the ImageJ plugin, one jar with the native library inside
	$(RUN) cargo build --release --locked
	$(RUN) $(MVN) -q -DskipTests "-Dwagiri.native=$(CURDIR)/target/release/$(LIB)" package
	@echo "$(JAR): drop it into the plugins folder of ImageJ or Fiji"

# Stock ImageJ with nothing but our jar, its settings kept in the tree. ImageJ ends with status 0 even if a macro fails,
# so the results are looked at.
demo: jar ## reconstruct the tooth scan in ImageJ by the menu command, into out/demo
	$(call title,Reconstructing tests/data/tooth/tooth.h5 in ImageJ)
	@rm -rf out/demo target/imagej && mkdir -p out/demo target/imagej/plugins target/imagej/home
	@cp $(JAR) target/imagej/plugins/
	$(RUN) $(SCREEN) "$$JAVA_HOME/bin/java" "-Duser.home=$(CURDIR)/target/imagej/home" \
	  "-Dplugins.dir=$(CURDIR)/target/imagej" -cp "$$(ls target/m2/net/imagej/ij/*/ij-*.jar | tail -n 1)" \
	  ij.ImageJ -batch "$(CURDIR)/.ci/demo.ijm" "$(CURDIR)"
	$(RUN) target/release/wagiri preview tests/data/tooth/tooth.h5 out/demo/tooth --row 0 --sheet
	@ls out/demo/rec/rec00000.tif out/demo/rec/rec00001.tif out/demo/tooth-sheet.png

# A foam of our own at 30 photons a pixel, written as raw frames, is all that the program gets to see; a detector counts 100
# for a photon, and less than one photon is taken for one.
demo-denoise: setup ## learn to denoise a low-dose foam from its own noise, and compare, into out/denoise
	$(call title,Making the scan)
	@rm -rf out/denoise && mkdir -p out/denoise
	$(RUN) cargo bench --locked --bench n2i -- scan out/denoise/scan > out/denoise/pixel_um
	$(RUN) cargo build --release --locked
	$(call title,Splitting it - training - denoising: a few minutes)
	$(RUN) target/release/wagiri denoise out/denoise/scan out/denoise/clean --preset small --epochs 30 --rings off \
	  --filter ramp --center 63.5 --pixel-um "$$(cat out/denoise/pixel_um)" --set normalise.floor_counts=100
	$(RUN) cargo bench --locked --bench n2i -- sheet out/denoise/clean out/denoise/sheet.png
	@echo out/denoise/sheet.png

bench: setup ## measure engines, accuracy, rings, filters, denoising and the whole pipeline, into docs/benchmarks.md; needs 3 GB of disk
	$(RUN) cargo bench --locked --bench engines > target/benchmarks.md
	$(RUN) cargo bench --locked --bench rings >> target/benchmarks.md
	$(RUN) cargo bench --locked --bench filters >> target/benchmarks.md
	$(RUN) cargo bench --locked --bench n2i >> target/benchmarks.md
	$(RUN) cargo bench --locked --bench pipeline >> target/benchmarks.md
	@mv target/benchmarks.md docs/benchmarks.md && cat docs/benchmarks.md

install: setup ## library, header, pkg-config file and program, into PREFIX (/usr/local) below DESTDIR
	$(RUN) cargo build --release --locked
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 755 target/release/wagiri $(DESTDIR)$(PREFIX)/bin/
	install -m 755 target/release/$(LIB) $(DESTDIR)$(LIBDIR)/
	install -m 644 src/capi/wagiri.h plugins/sdk/wagiri_plugin.h $(DESTDIR)$(PREFIX)/include/
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' -e 's|@VERSION@|$(VERSION)|g' src/capi/wagiri.pc.in \
	  > $(DESTDIR)$(LIBDIR)/pkgconfig/wagiri.pc

clean: ## remove everything that was built
	rm -rf target java/target fiji-plugin/target out
