/**
 * The contract of a {@link dev.grpsqlite.server.spi.PageStore}, as tests: a backend's test extends
 * {@link dev.grpsqlite.server.contract.PageStoreContract}.
 */
@NullMarked
package dev.grpsqlite.server.contract;

import org.jspecify.annotations.NullMarked;
