import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.duckdb.DuckDBConnection;

/**
 * A long-lived reader of serving.duckdb that holds its connections as Metabase's DuckDB driver does: a pool of
 * read-only connections that is never closed, plus the duplicates that the driver makes at every sync and leaks.
 *
 * <p>Properties: motherduckdb/metabase_duckdb_driver, src/metabase/driver/duckdb.clj, `jdbc-spec`.
 *
 * <p>Usage: PooledReader DATABASE_FILE TEMP_DIRECTORY CONNECTIONS startup|later, then one command a line on
 * standard input. The last argument says when TimeZone is set: driver 1.5.5.0 sends it as a startup property, which
 * makes DuckDB look for its icu extension on disk or in the network although it is linked in; later drivers (pull
 * request 107) set it on the open connection.
 * <pre>
 *   query SQL     run it on every pooled connection; prints one line per connection
 *   sync          list tables and columns on a duplicated connection, which stays open
 *   load SQL      run it without end on every connection in threads of their own
 *   settle        stop the load; prints "queries N errors M first-error"
 * </pre>
 */
public final class PooledReader {
  private static final List<Connection> POOL = new ArrayList<>();
  private static final List<Connection> LEAKED = new ArrayList<>();

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("duckdb.read_only", "true");
    properties.setProperty("old_implicit_casting", "true");
    properties.setProperty("memory_limit", "2GB");
    properties.setProperty("temp_directory", arguments[1]);
    properties.setProperty("jdbc_stream_results", "true");
    properties.setProperty("custom_user_agent", "metabase");
    boolean atStartup = arguments[3].equals("startup");
    if (atStartup) {
      properties.setProperty("TimeZone", "UTC");
    }
    for (int i = 0; i < Integer.parseInt(arguments[2]); i++) {
      Connection connection = DriverManager.getConnection("jdbc:duckdb:" + arguments[0], properties);
      if (!atStartup) {
        try (Statement statement = connection.createStatement()) {
          statement.execute("SET TimeZone='UTC'");
        }
      }
      POOL.add(connection);
    }
    System.out.println("ready " + POOL.get(0).getMetaData().getDatabaseProductVersion());

    AtomicBoolean running = new AtomicBoolean();
    AtomicLong queries = new AtomicLong();
    AtomicLong errors = new AtomicLong();
    AtomicReference<String> firstError = new AtomicReference<>("-");
    List<Thread> threads = new ArrayList<>();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String command = line.split(" ", 2)[0];
      String sql = line.substring(command.length()).trim();
      switch (command) {
        case "query":
          StringBuilder answer = new StringBuilder();
          for (Connection connection : POOL) {
            answer.append(answer.length() > 0 ? "|" : "").append(run(connection, sql));
          }
          System.out.println(answer);
          break;
        case "sync":
          Connection duplicate = POOL.get(0).unwrap(DuckDBConnection.class).duplicate();
          LEAKED.add(duplicate);
          System.out.println(run(duplicate, "select count(*) from information_schema.columns"));
          break;
        case "load":
          running.set(true);
          for (Connection connection : POOL) {
            Thread thread = new Thread(() -> {
              while (running.get()) {
                try {
                  run(connection, sql);
                  queries.incrementAndGet();
                } catch (SQLException error) {
                  errors.incrementAndGet();
                  firstError.compareAndSet("-", error.getMessage().lines().findFirst().orElse("?"));
                }
              }
            });
            thread.start();
            threads.add(thread);
          }
          System.out.println("loading");
          break;
        case "settle":
          running.set(false);
          for (Thread thread : threads) {
            thread.join();
          }
          threads.clear();
          System.out.println("queries " + queries + " errors " + errors + " " + firstError.get());
          break;
        default:
          throw new IllegalArgumentException(command);
      }
    }
  }

  private static String run(Connection connection, String sql) throws SQLException {
    StringBuilder text = new StringBuilder();
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
      int columns = rows.getMetaData().getColumnCount();
      while (rows.next()) {
        text.append(text.length() > 0 ? ";" : "");
        for (int column = 1; column <= columns; column++) {
          text.append(column > 1 ? "," : "").append(rows.getString(column));
        }
      }
    }
    return text.toString();
  }
}
