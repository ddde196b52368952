import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Runs one node on loopback until it is asked to end: Launcher HOME FOLDER PORT. */
public final class Launcher {
    public static void main(String[] said) throws Exception {
        Path folder = Path.of(said[1]);
        LogConfigurator.configureESLogging();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
                settings(said[0], folder, said[2]), Map.of(), folder.resolve("config"), () -> "nicegold");
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
                PluginsLoader.loadModulesBundles(environment.modulesDir()),
                PluginsLoader.loadPluginsBundles(environment.pluginsDir()),
                Map.of());
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static Settings settings(String home, Path folder, String port) {
        return Settings.builder()
                .put("path.home", home)
                .put("path.data", folder.resolve("data"))
                .put("path.logs", folder.resolve("logs"))
                .put("cluster.name", "nicegold")
                .put("node.name", "nicegold")
                .put("discovery.type", "single-node")
                .put("network.host", "127.0.0.1")
                .put("http.port", port)
                .put("transport.port", "0")
                .put("http.type", "netty4")
                .put("transport.type", "netty4")
                // On a disk that is nearly full it would refuse what a test writes.
                .put("cluster.routing.allocation.disk.threshold_enabled", false)
                .build();
    }

    private static void close(Node node) {
        try {
            node.close();
            node.awaitClose(20, TimeUnit.SECONDS);
        } catch (Exception failed) {
            failed.printStackTrace();
        }
    }
}
