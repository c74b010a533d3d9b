/** Between messages and the values of the SPI, and from errors to gRPC statuses. */
@NullMarked
package dev.grpsqlite.server.wire;

import org.jspecify.annotations.NullMarked;
