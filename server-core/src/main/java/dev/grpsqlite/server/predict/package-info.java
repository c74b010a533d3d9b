/**
 * Which pages a session will want next. Pages go in, plans come out; nothing here reads, waits, or
 * knows where pages are kept and how they are sent.
 *
 * <p>The file format is SQLite's (https://www.sqlite.org/fileformat2.html). Pages may be garbage:
 * what does not make sense predicts nothing.
 */
@NullMarked
package dev.grpsqlite.server.predict;

import org.jspecify.annotations.NullMarked;
