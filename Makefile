# The front door. Each target installs what is missing first, or names it and stops.

MVN ?= mvn
MVN_FLAGS ?= -B -ntp -q
export MINUTES BACKEND SEED

.PHONY: help build test bench bench-full soak mutants demo dist clean setup

help:
	@echo 'make demo    a database on a server, killed and started again, then a sqlite3 prompt on it;'
	@echo '             BACKEND=fdb: on a FoundationDB cluster, where that is installed'
	@echo 'make test    every test, Java and C'
	@echo 'make bench   measures, and says which figure misses its bar: build/bench/report.md;'
	@echo '             under ten minutes, with small sizes; make bench-full the real ones: an hour, 40 GB of disk'
	@echo 'make soak    for MINUTES=10 a backend: clients while everything fails; build/soak/log'
	@echo 'make mutants breaks each guarantee in a copy, and sees that its test fails; half an hour'
	@echo 'make build   compiles and packages everything, without running tests'
	@echo 'make dist    dist/: the servers, the SQLite extension, and nothing else needed to run them'
	@echo 'make clean   removes what the other targets made'

setup:
	@scripts/setup

# CMake's makes are not sub-makes of this one.
build: setup
	env -u MAKEFLAGS -u MAKELEVEL $(MVN) $(MVN_FLAGS) package -DskipTests

dist: build
	@scripts/lay-out-dist
	@echo 'dist/ is ready: dist/bin/rocksdb-server --help'

test: setup
	@scripts/setup examples
	@scripts/test

bench: dist
	@scripts/bench $(BENCH)

bench-full: dist
	@scripts/bench --full $(BENCH)

mutants: setup
	@scripts/check-mutants $(MUTANTS)

soak: dist
	@scripts/soak

demo: dist
	@scripts/demo

clean:
	rm -rf build dist */target
