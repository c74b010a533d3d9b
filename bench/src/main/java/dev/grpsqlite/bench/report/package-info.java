/**
 * What was measured, made readable: statistics, bars, tables, plots, raw numbers. Knows nothing of
 * how it is measured.
 */
@NullMarked
package dev.grpsqlite.bench.report;

import org.jspecify.annotations.NullMarked;
