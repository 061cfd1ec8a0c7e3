use super::*;

mod causes;
mod forgeries;
mod load;
mod world;
