/**
 * Who is let in, and how much may be under way at one time: connections, calls, and the bytes of
 * requests and answers.
 */
@NullMarked
package dev.grpsqlite.server.admission;

import org.jspecify.annotations.NullMarked;
