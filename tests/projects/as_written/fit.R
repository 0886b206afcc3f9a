rate <- as.numeric(commandArgs(trailingOnly = TRUE)[1])
w <- 0
for (i in 1:5) w <- w - rate * 2 * (w - 3)
cat("rate", rate, w, "\n")
