//! A Host speaks: streamable HTTP and stdio. Transports state facts; `admit` judges them.
