/**
 * Benchmarks: {@code make bench}. Each measures the distribution from outside, as a user sees it,
 * and says what bar its figures have to reach. Nothing depends on this.
 */
@NullMarked
package dev.grpsqlite.bench;

import org.jspecify.annotations.NullMarked;
