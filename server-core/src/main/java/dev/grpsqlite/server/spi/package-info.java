/**
 * What a storage backend implements, and nothing that it should not know: no gRPC, no protobuf, no
 * sessions. {@link dev.grpsqlite.server.spi.PageStore} is the contract, {@link
 * dev.grpsqlite.server.spi.PageStoreProvider} how a server finds it. The promises P1 to P6 that the
 * Javadoc names are those of ARCHITECTURE.md.
 */
@NullMarked
package dev.grpsqlite.server.spi;

import org.jspecify.annotations.NullMarked;
