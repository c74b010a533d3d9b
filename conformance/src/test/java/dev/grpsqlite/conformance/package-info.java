/** The kit against our own servers, which pass, and against broken ones, which do not. */
@NullMarked
package dev.grpsqlite.conformance;

import org.jspecify.annotations.NullMarked;
