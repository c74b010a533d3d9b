/** Who a caller is and what it may do, in plain Java; no gRPC. */
@NullMarked
package dev.grpsqlite.server.auth;

import org.jspecify.annotations.NullMarked;
