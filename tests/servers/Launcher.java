import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.ServerVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;

/** Starts a server: `Launcher PORT [FILE]`, in memory or in an H2 file, until the process ends. */
public class Launcher {
  public static void main(String[] arguments) throws Exception {
    // It says it is as old as wire version 8, which PyMongo refuses; what we use of the protocol it has.
    Field wireVersion = ServerVersion.class.getDeclaredField("wireVersion");
    wireVersion.setAccessible(true);
    for (ServerVersion version : ServerVersion.values()) {
      wireVersion.setInt(version, 13);
    }
    MongoBackend backend = arguments.length > 1 ? new H2Backend(arguments[1]) : new MemoryBackend();
    new MongoServer(backend).bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
    System.out.println("ready");
    Thread.currentThread().join();
  }
}
