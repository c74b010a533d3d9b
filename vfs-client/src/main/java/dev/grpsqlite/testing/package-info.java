/**
 * Storage servers within the process, for tests: {@link dev.grpsqlite.testing.GrpsqliteServer}, and
 * {@link dev.grpsqlite.testing.GrpsqliteExtension} for JUnit.
 */
@NullMarked
package dev.grpsqlite.testing;

import org.jspecify.annotations.NullMarked;
