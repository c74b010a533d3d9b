package dev.grpsqlite.server.spi;

import java.util.function.DoubleSupplier;

/**
 * A figure of a storage engine that changes while it runs.
 *
 * @param name as metrics are named: {@code grpsqlite_ENGINE_WHAT_UNIT}
 * @param help a sentence
 * @param value the figure now; thread-safe
 */
public record EngineFigure(String name, String help, DoubleSupplier value) {}
