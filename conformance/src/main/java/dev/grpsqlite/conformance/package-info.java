/**
 * What a storage server must do, as numbered rules that are checked over gRPC alone, whatever it is
 * written in and wherever it runs.
 */
@NullMarked
package dev.grpsqlite.conformance;

import org.jspecify.annotations.NullMarked;
