/**
 * What is compared, where, and in which order. Each workload says what it does, in which places,
 * and which bars its ratios have.
 */
@NullMarked
package dev.grpsqlite.bench.workload;

import org.jspecify.annotations.NullMarked;
