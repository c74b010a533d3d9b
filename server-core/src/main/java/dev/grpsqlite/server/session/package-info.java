/** Who is there: sessions, what they may still read, what they hold, and when they end. */
@NullMarked
package dev.grpsqlite.server.session;

import org.jspecify.annotations.NullMarked;
