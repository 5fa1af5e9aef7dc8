import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.MethodSnippet;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.TypeDeclSnippet;
import jdk.jshell.UnresolvedReferenceException;

/**
 * The live Java interpreter of a session: a JShell that runs snippets in this virtual machine.
 *
 * <p>Requests come in on descriptor 3, one JSON object a line: {"run", "code"} or {"interrupt": run}. Events go out on
 * descriptor 4: {"ready"}, {"run", "result", "main"}, {"run", "end", ...}. What a snippet prints goes to the real
 * standard output and error.
 */
public class Kernel {
    /** What the tool jshell imports, too. */
    private static final String[] IMPORTS = {
        "java.io.*", "java.math.*", "java.net.*", "java.nio.file.*", "java.util.*", "java.util.concurrent.*",
        "java.util.function.*", "java.util.prefs.*", "java.util.regex.*", "java.util.stream.*",
    };
    private static final int ERROR_LENGTH = 10_000;
    private static final long BETWEEN_INTERRUPTS_MS = 400;

    private final OutputStream events;
    private final JShell shell;
    private final AtomicLong running = new AtomicLong();
    /** The last run that was to be stopped. */
    private volatile long stopped = 0;
    private long count = 0;

    private Kernel(OutputStream events) {
        this.events = events;
        this.shell = JShell.builder().executionEngine("local").build();
        for (String name : IMPORTS) {
            shell.eval("import " + name + ";");
        }
    }

    public static void main(String[] args) throws Exception {
        Kernel kernel = new Kernel(new FileOutputStream("/dev/fd/4"));
        var requests = new BufferedReader(
            new InputStreamReader(new FileInputStream("/dev/fd/3"), StandardCharsets.UTF_8));
        kernel.send("{\"ready\":true}");
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            kernel.take(line);
        }
        System.exit(0);
    }

    private void take(String line) {
        if (line.startsWith("{\"interrupt\":")) {
            long run = Long.parseLong(line.substring("{\"interrupt\":".length(), line.length() - 1).trim());
            start("interrupt", () -> interrupt(run));
            return;
        }
        int code = line.indexOf(",\"code\":\"");
        long run = Long.parseLong(line.substring("{\"run\":".length(), code).trim());
        String source = unquote(line, code + ",\"code\":\"".length());
        synchronized (running) {
            running.set(run);
        }
        start("run", () -> run(run, source));
    }

    private static void start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** Repeated until the run has ended: the compiler heeds no stop, and what is stopped may catch it and go on. */
    private void interrupt(long run) {
        while (stop(run)) {
            try {
                Thread.sleep(BETWEEN_INTERRUPTS_MS);
            } catch (InterruptedException never) {
                return;
            }
        }
    }

    /** Stops a run; false if it has ended. No other begins between the check and the stop. */
    private boolean stop(long run) {
        synchronized (running) {
            if (running.get() != run) {
                return false;
            }
            stopped = run;
            shell.stop();
            return true;
        }
    }

    private void run(long run, String source) {
        count++;
        long started = System.nanoTime();
        String error;
        try {
            error = evaluate(run, source);
        } catch (Throwable problem) {
            error = problem.toString();
        }
        running.compareAndSet(run, 0);
        System.out.flush();
        System.err.flush();
        double seconds = (System.nanoTime() - started) / 1e9;
        String said = error == null ? "null" : quote(cut(error));
        send("{\"run\":" + run + ",\"end\":true,\"count\":" + count + ",\"seconds\":"
            + String.format(Locale.ROOT, "%.6f", seconds) + ",\"error\":" + said + "}");
    }

    /** Runs the snippets of a source one after another, until one fails; the text of its error, or null. */
    private String evaluate(long run, String source) {
        SourceCodeAnalysis analysis = shell.sourceCodeAnalysis();
        List<SnippetEvent> all = new ArrayList<>();
        String rest = source;
        while (!rest.isBlank()) {
            SourceCodeAnalysis.CompletionInfo info = analysis.analyzeCompletion(rest);
            boolean isWhole = info.completeness().isComplete();
            String snippet = isWhole ? info.source() : rest;
            if (snippet == null || snippet.isBlank()) {
                break;
            }
            for (SnippetEvent event : shell.eval(snippet)) {
                if (event.causeSnippet() != null) {
                    continue;
                }
                String error = errorOf(event);
                if (error != null) {
                    return error;
                }
                all.add(event);
            }
            // A snippet that was stopped ends as any other.
            if (stopped == run) {
                return "interrupted";
            }
            rest = isWhole ? info.remaining() : "";
        }
        String main = mainOf(all);
        if (main != null) {
            List<SnippetEvent> call = shell.eval(main);
            return call.isEmpty() ? null : errorOf(call.get(0));
        }
        if (!all.isEmpty()) {
            show(run, all.get(all.size() - 1));
        }
        return null;
    }

    private String errorOf(SnippetEvent event) {
        if (event.status() == Snippet.Status.REJECTED) {
            StringBuilder text = new StringBuilder();
            shell.diagnostics(event.snippet()).filter(Diag::isError).forEach(diagnostic -> {
                text.append(text.length() == 0 ? "" : "\n").append("error: ").append(diagnostic.getMessage(Locale.ROOT));
            });
            System.err.println(text);
            return text.length() == 0 ? "error: the snippet was rejected" : text.toString();
        }
        if (event.status() == Snippet.Status.RECOVERABLE_NOT_DEFINED && !(event.snippet() instanceof MethodSnippet)) {
            return unresolved(event.snippet());
        }
        return event.exception() == null ? null : thrown(event.exception());
    }

    private String unresolved(Snippet snippet) {
        String names = "";
        if (snippet instanceof jdk.jshell.DeclarationSnippet declaration) {
            names = String.join(", ", shell.unresolvedDependencies(declaration).toList());
        }
        return "error: cannot find symbol: " + names;
    }

    private String thrown(JShellException exception) {
        if (exception instanceof UnresolvedReferenceException reference) {
            return unresolved(reference.getSnippet());
        }
        EvalException evaluated = (EvalException) exception;
        if ("java.lang.ThreadDeath".equals(evaluated.getExceptionClassName())) {
            return "interrupted";
        }
        String message = evaluated.getMessage();
        String text = evaluated.getExceptionClassName() + (message == null ? "" : ": " + message);
        StringBuilder trace = new StringBuilder(text);
        for (StackTraceElement element : evaluated.getStackTrace()) {
            String name = element.getClassName();
            if (!name.startsWith("REPL.") && !name.startsWith("jdk.jshell.")) {
                trace.append("\n\tat ").append(element);
            }
        }
        System.err.println(trace);
        return text;
    }

    /** The call of a program's entry, where a source declares types alone and one of them has a main method. */
    private String mainOf(List<SnippetEvent> all) {
        String found = null;
        for (SnippetEvent event : all) {
            Snippet snippet = event.snippet();
            if (snippet.kind() == Snippet.Kind.IMPORT) {
                continue;
            }
            if (!(snippet instanceof TypeDeclSnippet type)) {
                return null;
            }
            if (snippet.source().matches("(?s).*\\bstatic\\s+void\\s+main\\s*\\(\\s*(final\\s+)?String\\b.*")) {
                found = type.name() + ".main(new String[0]);";
            }
        }
        return found;
    }

    private void show(long run, SnippetEvent event) {
        Snippet snippet = event.snippet();
        boolean isValue = snippet.kind() == Snippet.Kind.EXPRESSION
            && snippet.subKind() != Snippet.SubKind.ASSIGNMENT_SUBKIND;
        if (!isValue && snippet.subKind() != Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND) {
            return;
        }
        String value = event.value();
        if (value != null && !value.isEmpty() && !"null".equals(value)) {
            send("{\"run\":" + run + ",\"result\":{\"text/plain\":" + quote(value) + "},\"main\":true}");
        }
    }

    private synchronized void send(String event) {
        try {
            events.write((event + "\n").getBytes(StandardCharsets.UTF_8));
            events.flush();
        } catch (java.io.IOException gone) {
            Runtime.getRuntime().halt(1);
        }
    }

    /** Not in the middle of a character. */
    private static String cut(String text) {
        if (text.length() <= ERROR_LENGTH) {
            return text;
        }
        boolean isInCharacter = Character.isHighSurrogate(text.charAt(ERROR_LENGTH - 1));
        return text.substring(0, isInCharacter ? ERROR_LENGTH - 1 : ERROR_LENGTH);
    }

    /** A text in JSON. Half of a surrogate pair is no character: whoever reads UTF-8 refuses it. */
    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        text.codePoints().forEach(character -> {
            if (character == '"' || character == '\\') {
                quoted.append('\\').appendCodePoint(character);
            } else if (character < ' ') {
                quoted.append(String.format("\\u%04x", character));
            } else {
                boolean isHalf = Character.getType(character) == Character.SURROGATE;
                quoted.appendCodePoint(isHalf ? '\ufffd' : character);
            }
        });
        return quoted.append('"').toString();
    }

    /** The JSON string that begins at an index. */
    private static String unquote(String line, int start) {
        StringBuilder text = new StringBuilder();
        for (int index = start; index < line.length() && line.charAt(index) != '"'; index++) {
            char character = line.charAt(index);
            if (character != '\\') {
                text.append(character);
                continue;
            }
            index++;
            switch (line.charAt(index)) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case 'u' -> {
                    text.append((char) Integer.parseInt(line.substring(index + 1, index + 5), 16));
                    index += 4;
                }
                default -> text.append(line.charAt(index));
            }
        }
        return text.toString();
    }
}
