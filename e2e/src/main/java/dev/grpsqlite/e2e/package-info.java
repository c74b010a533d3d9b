/**
 * What the tests of the whole are made with: the distribution's servers, a stock {@code sqlite3}
 * and Python as child processes, and networks that fail on demand. Knows the outside of both halves
 * alone. Every child process is killed, by its handle, when its owner closes it or this process
 * ends.
 */
@NullMarked
package dev.grpsqlite.e2e;

import org.jspecify.annotations.NullMarked;
