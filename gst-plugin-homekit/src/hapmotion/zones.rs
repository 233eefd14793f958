//! Polygons that say where motion counts.

use super::luma::Grid;

/// Most polygons, and corners of one.
const MAX_ZONES: usize = 32;
const MAX_CORNERS: usize = 64;

/// Where motion counts; without a polygon, everywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zones {
    polygons: Vec<Vec<(f32, f32)>>,
}

/// Why a text is no list of zones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// Something that is no pair of numbers.
    #[error("\"{0}\" is not a corner: two numbers from 0 to 1 with a comma between")]
    Corner(String),
    /// A polygon with too few corners or too many.
    #[error("a zone has 3 to {MAX_CORNERS} corners, not {0}")]
    Corners(usize),
    /// Too many polygons.
    #[error("there are at most {MAX_ZONES} zones, not {0}")]
    Zones(usize),
}

impl Zones {
    /// Polygons of corners in shares of the picture's width and height, from the top left.
    ///
    /// # Errors
    /// If there are too many, or one has too few corners, too many, or one outside of the picture.
    pub fn new(polygons: Vec<Vec<(f32, f32)>>) -> Result<Self, ZoneError> {
        if polygons.len() > MAX_ZONES {
            return Err(ZoneError::Zones(polygons.len()));
        }
        for polygon in &polygons {
            if !(3..=MAX_CORNERS).contains(&polygon.len()) {
                return Err(ZoneError::Corners(polygon.len()));
            }
            let share = |value: f32| (0.0..=1.0).contains(&value);
            if let Some((x, y)) = polygon.iter().find(|(x, y)| !share(*x) || !share(*y)) {
                return Err(ZoneError::Corner(format!("{x},{y}")));
            }
        }
        Ok(Self { polygons })
    }

    /// Polygons as text: `x,y x,y x,y` with `;` between polygons; `:` is as good as a space.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for what is no number.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let polygons = text.split(';').filter(|polygon| !polygon.trim().is_empty());
        let gap = |c: char| c.is_whitespace() || c == ':';
        let polygon = |text: &str| {
            let corners = text.split(gap).filter(|corner| !corner.is_empty());
            corners.map(corner).collect()
        };
        Self::new(polygons.map(polygon).collect::<Result<_, _>>()?)
    }

    /// For each cell of a grid, whether its centre is in a zone.
    pub fn mask(&self, grid: &Grid) -> Vec<bool> {
        let inside = |cell| {
            let centre = grid.centre(cell);
            self.polygons.is_empty() || self.polygons.iter().any(|p| contains(p, centre))
        };
        (0..grid.cells()).map(inside).collect()
    }
}

impl std::fmt::Display for Zones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, polygon) in self.polygons.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            for (j, (x, y)) in polygon.iter().enumerate() {
                let gap = if j == 0 { "" } else { " " };
                write!(f, "{gap}{x},{y}")?;
            }
        }
        Ok(())
    }
}

fn corner(text: &str) -> Result<(f32, f32), ZoneError> {
    let pair = text.split_once(',');
    let pair = pair.and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    pair.ok_or_else(|| ZoneError::Corner(text.to_owned()))
}

/// By the number of edges that a ray to the right crosses.
fn contains(polygon: &[(f32, f32)], (x, y): (f32, f32)) -> bool {
    let ends = polygon.iter().cycle().skip(1);
    let crosses = |&(&(ax, ay), &(bx, by)): &(&(f32, f32), &(f32, f32))| {
        (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax)
    };
    polygon.iter().zip(ends).filter(crosses).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_inside(text: &str) -> f32 {
        let grid = Grid::new(640, 640).unwrap();
        let mask = Zones::parse(text).unwrap().mask(&grid);
        mask.iter().filter(|&&inside| inside).count() as f32 / mask.len() as f32
    }

    #[test]
    fn no_zone_is_everywhere() {
        assert_eq!(share_inside(""), 1.0);
        assert_eq!(share_inside(" ; "), 1.0);
    }

    #[test]
    fn polygons_cover_their_area() {
        for (text, area) in [
            ("0,0 0.5,0 0.5,1 0,1", 0.5),
            ("0,0 1,0 0,1", 0.5),
            ("0,0:1,0:0,1", 0.5),
            ("0,0 0.25,0 0.25,1 0,1; 0.75,0 1,0 1,1 0.75,1", 0.5),
            // Two that overlap.
            ("0,0 0.5,0 0.5,1 0,1; 0.25,0 0.75,0 0.75,1 0.25,1", 0.75),
            // A corner that points inwards.
            ("0,0 1,0 1,1 0.5,0.5", 0.5),
        ] {
            let share = share_inside(text);
            assert!((share - area).abs() < 0.02, "{text}: {share}");
        }
    }

    #[test]
    fn text_comes_back() {
        let text = "0.1,0.1 0.9,0.1 0.5,0.9; 0,0 1,0 1,1 0,1";
        assert_eq!(Zones::parse(text).unwrap().to_string(), text);
        assert_eq!(Zones::default().to_string(), "");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| Zones::parse(text).unwrap_err();
        let corner = |text: &str| ZoneError::Corner(text.to_owned());
        assert_eq!(error("0,0 1,1"), ZoneError::Corners(2));
        assert_eq!(error("0,0 1,1 x,0"), corner("x,0"));
        assert_eq!(error("0,0 1,1 0"), corner("0"));
        assert_eq!(error("0,0 1,1 0,1.5"), corner("0,1.5"));
        assert_eq!(error("0,0 1,1 0,-0.5"), corner("0,-0.5"));
        assert_eq!(error("0,0 1,1 0,NaN"), corner("0,NaN"));
        assert_eq!(error(&"0,0 1,0 1,1;".repeat(33)), ZoneError::Zones(33));
        assert_eq!(error(&"0,0 ".repeat(65)), ZoneError::Corners(65));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_list_or_a_mistake(text in ".{0,200}", numbers in "[-0-9., :;e]{0,200}") {
            let grid = Grid::new(64, 64).unwrap();
            for text in [text, numbers] {
                if let Ok(zones) = Zones::parse(&text) {
                    zones.mask(&grid);
                    proptest::prop_assert_eq!(Zones::parse(&zones.to_string()).unwrap(), zones);
                }
            }
        }
    }
}
