const leave = require("./leave");

it("leaves sessions open", () => leave(1), 120_000);
