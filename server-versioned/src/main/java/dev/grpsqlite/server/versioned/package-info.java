/**
 * The in-memory backend that keeps versions. A version is the root of an immutable tree of pages
 * ({@link dev.grpsqlite.server.versioned.PageTree}); a commit makes a new root that shares all that
 * it did not change, a fork takes the root of another database, and what no root reaches is for the
 * garbage collector of the JVM. So there is no count of references, and nothing to get wrong in it.
 */
@NullMarked
package dev.grpsqlite.server.versioned;

import org.jspecify.annotations.NullMarked;
