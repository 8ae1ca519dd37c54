"""First and last names for simulated people; mixed at random, so nobody in particular."""

from __future__ import annotations

from typing import Final

FIRST_NAMES: Final = tuple(
    """
    Aaron Abigail Adam Adrian Aisha Alan Alejandra Alice Allison Amanda Amir Amy Andre Andrea
    Angela Anita Anthony Antonio April Ashley Austin Barbara Beatriz Ben Bianca Brandon Brenda
    Brian Brianna Bruce Caleb Camila Carla Carlos Carmen Caroline Catherine Charles Cheryl Chris
    Cindy Claire Colin Connor Corey Crystal Cynthia Daniel Danielle David Deborah Dennis Diana
    Diego Donna Dylan Edgar Elena Eli Elizabeth Emily Emma Eric Erica Esther Ethan Eva Evan Felix
    Fiona Frank Gabriel Gary George Gloria Gordon Hannah Harold Hassan Heather Helen Henry Holly
    Ian Imani Irene Isaac Isabel Jack Jacob Jada Jamal James Jane Janet Jason Javier Jean Jeff
    Jenna Jeremy Jesse Jessica Joan Joel John Jordan Jorge Joseph Joshua Juan Judith Julia Julian
    Kara Karen Keisha Keith Kelly Kenji Kevin Kim Kyle Larry Laura Lauren Leah Leo Leon Leslie
    Liam Linda Lisa Logan Lorena Louis Lucas Lucy Luis Luke Lydia Malik Marcus Margaret Maria Mark
    Martin Mason Matthew Maya Megan Mei Melissa Michael Michelle Miguel Mike Mina Monica Nadia
    Naomi Natalie Nathan Neil Nicole Nina Noah Nora Olga Olivia Omar Oscar Pamela Patricia Patrick
    Paul Pedro Peter Philip Rachel Rafael Rahul Ramon Raymond Rebecca Renee Ricardo Robert Roger
    Rosa Ruth Ryan Sabrina Samantha Samuel Sandra Sara Scott Sean Shannon Sharon Silvia Simon
    Sofia Sonia Stella Stephen Steven Susan Tamara Tanya Teresa Theo Thomas Tiffany Tim Tina Todd
    Trevor Tyler Vanessa Vera Victor Vincent Violet Walter Wanda Wei Wendy William Xavier Yolanda
    Yuki Yvonne Zachary Zoe
    """.split(),  # noqa: SIM905 - a hundred quoted lines read worse
)
LAST_NAMES: Final = tuple(
    """
    Abbott Acosta Adams Aguilar Ahmed Alvarez Anderson Andrews Armstrong Arnold Bailey Baker Banks
    Barnes Barrett Bauer Becker Bell Bennett Berg Bishop Blake Boone Bowman Boyd Bradley Brennan
    Briggs Brooks Bryant Burke Burns Bush Byrne Caldwell Campbell Cannon Carlson Carpenter Carr
    Carter Castillo Chan Chandler Chapman Chavez Chen Choi Clark Clayton Cohen Coleman Collins
    Conrad Cook Cooper Cortez Costa Craig Cruz Curry Dalton Daniels Davidson Davis Dawson Day
    Delgado Desai Diaz Dixon Doyle Drake Duncan Dunn Eaton Edwards Elliott Ellis Erickson Espinoza
    Evans Ferguson Fernandez Fields Fischer Fleming Fletcher Flores Ford Foster Fowler Fox
    Franklin Frost Fuentes Fuller Garcia Gardner Gibson Gilbert Glover Gomez Gonzalez Gordon
    Graham Grant Gray Green Griffin Guerrero Gupta Hale Hall Hansen Hardy Harper Harris Hart
    Hawkins Hayes Henderson Herrera Hicks Hoffman Holland Holmes Hooper Howard Hudson Hughes
    Hunter Hussain Ingram Jackson Jacobs James Jensen Jimenez Johnson Jones Joseph Kane Keller
    Kelly Kennedy Khan Kim King Klein Knight Kumar Lambert Lane Larson Lawson Lee Lewis Lin Little
    Liu Logan Long Lopez Lowe Lucas Lynch Lyons Maldonado Mann Marsh Martin Martinez Mason
    Matthews May McBride McCoy McDonald McKenzie Medina Mendez Meyer Miller Mills Miranda Mitchell
    Montgomery Moore Morales Moreno Morgan Morris Morrison Moss Munoz Murphy Murray Myers Navarro
    Nelson Newman Nguyen Nichols Norris Novak Nunez Obrien Oliver Olson Ortega Ortiz Osborne Owens
    Page Palmer Park Parker Patel Patterson Payne Pearson Perez Perkins Perry Peterson Pham
    Phillips Pierce Porter Powell Price Quinn Ramirez Ramos Reed Reese Reid Reyes Reynolds Rhodes
    Rice Richards Rivera Roberts Robinson Rodriguez Rogers Romero Rose Ross Rossi Ruiz Russell
    Ryan Salazar Sanchez Sanders Santos Schmidt Schneider Schultz Scott Shah Shaw Shepard Silva
    Simmons Simpson Singh Smith Snyder Soto Spencer Stein Stevens Stewart Stone Strickland
    Sullivan Sutton Swanson Tanaka Tate Taylor Thomas Thompson Torres Tran Tucker Turner Underwood
    Vargas Vasquez Vaughn Vega Wagner Walker Wallace Walsh Wang Ward Warner Washington Watkins
    Watson Weaver Webb Weber Wells West Wheeler White Wilkins Williams Wilson Wise Wolf Wong Wood
    Wright Wu Yang Yates Young Zhang Zimmerman
    """.split(),  # noqa: SIM905 - a hundred quoted lines read worse
)
NICKNAMES: Final = {
    "Benjamin": "Ben", "Catherine": "Cathy", "Charles": "Chuck", "Daniel": "Dan", "David": "Dave",
    "Deborah": "Debbie", "Elizabeth": "Liz", "Jacob": "Jake", "James": "Jim", "Jessica": "Jess",
    "Joseph": "Joe", "Joshua": "Josh", "Margaret": "Maggie", "Matthew": "Matt", "Michael": "Mike",
    "Nathan": "Nate", "Patricia": "Pat", "Rebecca": "Becky", "Robert": "Bob", "Samuel": "Sam",
    "Stephen": "Steve", "Steven": "Steve", "Susan": "Sue", "Thomas": "Tom", "William": "Bill",
}  # fmt: skip
EMAIL_DOMAINS: Final = ("example.com", "example.org", "example.net")
