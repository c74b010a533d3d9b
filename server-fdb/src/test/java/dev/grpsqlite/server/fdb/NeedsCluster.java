package dev.grpsqlite.server.fdb;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.Optional;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Run where FoundationDB is installed; elsewhere skipped, with a reason. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(NeedsCluster.Condition.class)
@interface NeedsCluster {
  /** Looks for what it takes. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      Optional<String> missing = LocalCluster.missing();
      return missing.isPresent()
          ? ConditionEvaluationResult.disabled(
              "no FoundationDB here (" + missing.get() + " is neither on the PATH nor in FDB_HOME)")
          : ConditionEvaluationResult.enabled("FoundationDB is here");
    }
  }
}
