/** A server process: settings, listeners, health, metrics, shutdown. */
@NullMarked
package dev.grpsqlite.server.launch;

import org.jspecify.annotations.NullMarked;
