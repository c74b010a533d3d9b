package dev.grpsqlite.conformance;

import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** What a server does otherwise than the good one that it forwards to. */
final class Faults {
  /** Answers a unary call; {@code next} is the good server. */
  @FunctionalInterface
  interface Unary<Q, R> {
    R answer(Q request, Function<Q, R> next);
  }

  private final Channel good;
  private final Map<String, Unary<Object, Object>> unary = new HashMap<>();
  private final Map<String, UnaryOperator<Object>> requests = new HashMap<>();
  private final Map<String, Function<Object, @Nullable Object>> events = new HashMap<>();
  private UnaryOperator<Status> end = status -> status;
  private boolean lenient;

  Faults(Channel good) {
    this.good = good;
  }

  /** The good server, for what a fault has to know. */
  Channel good() {
    return good;
  }

  @SuppressWarnings("unchecked")
  <Q, R> Faults on(MethodDescriptor<Q, R> method, Unary<Q, R> answer) {
    unary.put(method.getFullMethodName(), (Unary<Object, Object>) answer);
    return this;
  }

  /** Changes the requests of a method. */
  @SuppressWarnings("unchecked")
  <Q, R> Faults asked(MethodDescriptor<Q, R> method, UnaryOperator<Q> change) {
    requests.put(method.getFullMethodName(), (UnaryOperator<Object>) change);
    return this;
  }

  /** Changes each answer of a method; null: it is not sent. */
  @SuppressWarnings("unchecked")
  <Q, R> Faults told(MethodDescriptor<Q, R> method, Function<R, @Nullable R> change) {
    events.put(method.getFullMethodName(), (Function<Object, @Nullable Object>) change);
    return this;
  }

  /** Answers refusals with these codes as if all were well. */
  <Q, R> Faults swallow(MethodDescriptor<Q, R> method, R answer, Status.Code... codes) {
    return on(
        method,
        (request, next) -> {
          try {
            return next.apply(request);
          } catch (StatusRuntimeException e) {
            for (Status.Code code : codes) {
              if (e.getStatus().getCode() == code) {
                return answer;
              }
            }
            throw e;
          }
        });
  }

  /** Changes how streams end. */
  Faults ends(UnaryOperator<Status> change) {
    end = change;
    return this;
  }

  /** Takes what is no message for an empty one, and answers it. */
  Faults lenient() {
    lenient = true;
    return this;
  }

  boolean isLenient() {
    return lenient;
  }

  UnaryOperator<Status> end() {
    return end;
  }

  @Nullable Unary<Object, Object> unary(String method) {
    return unary.get(method);
  }

  Object asked(String method, Object request) {
    return requests.getOrDefault(method, same -> same).apply(request);
  }

  @Nullable Object told(String method, Object answer) {
    return events.getOrDefault(method, same -> same).apply(answer);
  }
}
