/**
 * A storage server's services as a Java program sees them: {@link
 * dev.grpsqlite.pageclient.ServerConnection} is where to begin.
 *
 * <p>Knows the wire and nothing of SQLite, of SQL, or of how a server does what it is asked.
 */
@NullMarked
package dev.grpsqlite.pageclient;

import org.jspecify.annotations.NullMarked;
