# The live R interpreter of a session: runs cells in the global environment, as a console does.
#
# Requests come in on descriptor 3, one JSON object a line: {"run", "code"}; an interrupt comes as a signal. Events go out
# on descriptor 4: {"ready"}, {"run", "result", "main"}, {"run", "end", ...}. What a cell prints goes to the real standard
# output and error. Read by the start line from descriptor 3, too, as R's command line is short.
local({
    events <- fifo("/dev/fd/4", "wb", blocking = TRUE)
    send <- function(...) {
        writeLines(enc2utf8(paste0(...)), events, useBytes = TRUE)
        flush(events)
    }

    quote_json <- function(text) {
        text <- enc2utf8(text)
        text <- gsub("\\", "\\\\", text, fixed = TRUE)
        text <- gsub("\"", "\\\"", text, fixed = TRUE)
        text <- gsub("\n", "\\n", text, fixed = TRUE)
        text <- gsub("\r", "\\r", text, fixed = TRUE)
        text <- gsub("\t", "\\t", text, fixed = TRUE)
        text <- gsub("[\001-\037]", " ", text)
        paste0("\"", iconv(text, "UTF-8", "UTF-8", sub = "?"), "\"")
    }

    base64 <- function(bytes) {
        letters64 <- c(LETTERS, letters, 0:9, "+", "/")
        padding <- (3 - length(bytes) %% 3) %% 3
        values <- matrix(c(as.integer(bytes), rep(0L, padding)), nrow = 3)
        parts <- rbind(
            values[1, ] %/% 4L,
            (values[1, ] %% 4L) * 16L + values[2, ] %/% 16L,
            (values[2, ] %% 16L) * 4L + values[3, ] %/% 64L,
            values[3, ] %% 64L
        )
        text <- letters64[parts + 1L]
        if (padding > 0) text[length(text) - seq_len(padding) + 1] <- "="
        paste(text, collapse = "")
    }

    state <- new.env()
    state$run <- "0"
    state$count <- 0

    show <- function(type, text, main) {
        send("{\"run\":", state$run, ",\"result\":{\"", type, "\":", quote_json(text), "},\"main\":", main, "}")
    }

    # Plots go to files, which are shown at the end of the cell that made them.
    plots <- tempfile("plots")
    dir.create(plots)
    options(device = function(...) {
        grDevices::png(file.path(plots, "plot%04d.png"), width = 800, height = 600, type = "cairo")
    })
    show_plots <- function() {
        while (!is.null(grDevices::dev.list())) grDevices::dev.off()
        for (file in sort(list.files(plots, full.names = TRUE))) {
            size <- file.info(file)$size
            if (size > 0) show("image/png", base64(readBin(file, "raw", size)), "false")
            unlink(file)
        }
    }

    leave <- function(...) stop(structure(class = c("agb_leave", "condition"), list(message = "", call = NULL)))
    own <- attach(NULL, name = "agb", warn.conflicts = FALSE)
    assign("quit", leave, own)
    assign("q", leave, own)
    assign("readline", function(prompt = "") stop("readline() has nobody to ask: a run has no standard input"), own)

    # Values in the middle are printed, as on a console; the last one is the cell's main result.
    evaluate <- function(code) {
        cell <- parse(text = code, keep.source = TRUE, encoding = "UTF-8")
        for (index in seq_along(cell)) {
            value <- withVisible(eval(cell[[index]], globalenv()))
            if (!value$visible) next
            if (index < length(cell)) {
                print(value$value)
                next
            }
            text <- paste(utils::capture.output(print(value$value)), collapse = "\n")
            if (nzchar(text)) show("text/plain", text, "true")
        }
    }

    explain <- function(problem) {
        call <- conditionCall(problem)
        from <- if (is.null(call)) "" else paste0(" in ", paste(deparse(call, nlines = 1)[1], collapse = ""), " ")
        if (grepl("cell[[index]]", from, fixed = TRUE) || grepl("parse(text = code", from, fixed = TRUE)) from <- ""
        paste0("Error", from, ": ", conditionMessage(problem))
    }

    run_cell <- function(code) {
        tryCatch({
            allowInterrupts(evaluate(code))
            NULL
        },
        agb_leave = function(condition) NULL,
        interrupt = function(condition) "interrupted",
        error = function(problem) {
            text <- explain(problem)
            cat(text, "\n", sep = "", file = stderr())
            text
        })
    }

    # An interrupt that came when its run had ended must not end the next one.
    drop_late_interrupt <- function() tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(condition) NULL)

    serve <- function(line) {
        drop_late_interrupt()
        state$run <- sub("^\\{\"run\":([0-9]+),.*$", "\\1", line, useBytes = TRUE)
        quoted <- sub("^\\{\"run\":[0-9]+,\"code\":(.*)\\}$", "\\1", line, useBytes = TRUE)
        state$count <- state$count + 1
        started <- proc.time()[["elapsed"]]
        error <- tryCatch({
            # A JSON string is an R string, but for an escaped slash, which nobody writes.
            Encoding(quoted) <- "UTF-8"
            run_cell(eval(parse(text = quoted, keep.source = FALSE, encoding = "UTF-8")))
        }, error = function(problem) conditionMessage(problem))
        while (sink.number() > 0) sink()
        try(show_plots(), silent = TRUE)
        flush(stdout())
        seconds <- format(proc.time()[["elapsed"]] - started, scientific = FALSE, nsmall = 3)
        said <- if (is.null(error)) "null" else quote_json(substr(enc2utf8(error), 1, 10000))
        send("{\"run\":", state$run, ",\"end\":true,\"count\":", state$count, ",\"seconds\":", seconds,
            ",\"error\":", said, "}")
    }

    options(warn = 1, width = 120, error = NULL)
    suspendInterrupts({
        send("{\"ready\":true}")
        repeat {
            line <- readLines(agb_requests, 1, encoding = "bytes", warn = FALSE)
            if (length(line) == 0) break
            serve(line)
        }
    })
})
